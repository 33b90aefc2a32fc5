import Foundation

/// The samples of a soak, and their evaluation.
struct SoakReport {
    /// The allowed growth of memory in bytes. The arenas of the allocator fill unevenly, so some growth is not a leak.
    private static let memoryTolerance = 4 << 20
    /// The allowed growth of descriptors, which a closing carrier may still hold.
    private static let descriptorTolerance = 3

    private var samples: [String: [SoakRig.Sample]] = [:]

    mutating func add(_ new: [SoakRig.Sample]) {
        for sample in new { samples[sample.name, default: []].append(sample) }
    }

    /// The line of a round.
    static func line(_ round: Int, _ samples: [SoakRig.Sample], _ rig: SoakRig) -> String {
        let totals = rig.totals
        let roles = samples.map { sample in
            "\(sample.name) \(sample.residentBytes >> 10) KiB, \(sample.descriptors) descriptors, \(sample.threads) threads"
        }
        return "round \(round): \(totals.visitors) visitors, \(totals.bytes >> 20) MiB, \(totals.cuts) cuts, "
            + "\(totals.reloads) reloads; " + roles.joined(separator: "; ")
    }

    /// The medians of the first rounds after the warm-up, and of the last rounds.
    private func ends(_ all: [SoakRig.Sample], _ value: (SoakRig.Sample) -> Int) -> (first: Int, last: Int)? {
        // Caches fill in the first rounds.
        let warm = all.dropFirst(min(3, all.count / 3))
        let share = max(1, min(10, warm.count / 3))
        func median(_ part: some Sequence<SoakRig.Sample>) -> Int { part.map(value).sorted()[share / 2] }
        guard warm.count >= 2 else { return nil }
        return (median(warm.prefix(share)), median(warm.suffix(share)))
    }

    /// The first and the last figures in Markdown.
    var table: String {
        var lines = ["| role | | first | last |", "|---|---|--:|--:|"]
        for (name, all) in samples.sorted(by: { $0.key > $1.key }) {
            for (title, value) in Self.figures {
                guard let (first, last) = ends(all, value) else { continue }
                lines.append("| \(name) | \(title) | \(first) | \(last) |")
            }
        }
        return lines.joined(separator: "\n")
    }

    private static let figures: [(String, @Sendable (SoakRig.Sample) -> Int)] = [
        ("resident KiB", { $0.residentBytes >> 10 }), ("descriptors", { $0.descriptors }), ("threads", { $0.threads }),
        ("streams", { $0.streams }),
    ]

    /// The resources that have grown; empty if none has.
    var growth: [String] {
        var grown: [String] = []
        for (name, all) in samples {
            let bounds = [Self.memoryTolerance >> 10, Self.descriptorTolerance, 0, 0]
            for ((title, value), bound) in zip(Self.figures, bounds) {
                guard let (first, last) = ends(all, value) else { continue }
                if last > first + bound { grown.append("\(name): \(title) from \(first) to \(last)") }
            }
        }
        return grown
    }
}
