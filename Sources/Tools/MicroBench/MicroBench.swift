/// Prints figures of the codec and the session as Markdown. Run `swift run -c release culvert-microbench`.
///
/// It does not use the benchmark package, which does not count allocations on Linux. It measures workloads in turn,
/// because their ratios matter most.
@main
struct MicroBench {
    static func main() {
        masking()
        frames()
        deflate()
        session()
    }

    private static func masking() {
        print("| masking | offset | GB/s | memcpy GB/s | ratio |\n|---|--:|--:|--:|--:|")
        for row in MaskingBench.run() {
            let ours = Double(row.size) / row.masking.seconds / 1e9
            let theirs = Double(row.size) / row.memcpy.seconds / 1e9
            print("| \(row.size) B | \(row.offset) | \(ours.short) | \(theirs.short) | \((ours / theirs).short) |")
        }
        print("")
    }

    private static func frames() {
        print(
            "| frames | size | ours/s | allocations | NIOWebSocket/s | allocations | ratio |\n|---|--:|--:|--:|--:|--:|--:|"
        )
        for row in FrameBench.run() {
            let ours = 1 / row.ours.seconds
            let theirs = row.theirs.map { 1 / $0.seconds } ?? 0
            print(
                "| \(row.what) | \(row.size) B | \(ours.rounded().grouped) | \(row.ours.allocations.short) "
                    + "| \(theirs.rounded().grouped) | \((row.theirs?.allocations ?? 0).short) | \((ours / theirs).short) |"
            )
        }
        print("")
    }

    private static func session() {
        print(
            "| session | size | ns a frame | allocations | with WebSocket: ns | allocations |\n|---|--:|--:|--:|--:|--:|"
        )
        for row in SessionBench.run() {
            func columns(_ cost: Cost) -> String {
                "\((cost.seconds * 1e9).rounded().grouped) | \(cost.allocations.short)"
            }
            print("| \(row.what) | \(row.size) B | \(columns(row.alone)) | \(columns(row.framed)) |")
        }
    }

    private static func deflate() {
        print(
            "| permessage-deflate | size | zlib MB/s | ours | ratio | allocations | message | ratio | allocations |\n"
                + "|---|--:|--:|--:|--:|--:|--:|--:|--:|"
        )
        for row in DeflateBench.run() {
            func rate(_ cost: Cost) -> Double { Double(row.size) / cost.seconds / 1e6 }
            func columns(_ cost: Cost) -> String {
                "\(rate(cost).short) | \((row.zlib.seconds / cost.seconds).short) | \(cost.allocations.short) |"
            }
            print(
                "| \(row.what) | \(row.size) B | \(rate(row.zlib).short) | \(columns(row.codec)) \(columns(row.message))"
            )
        }
        print("")
    }
}

extension Double {
    /// Two decimals.
    fileprivate var short: String {
        let hundredths = Int((self * 100).rounded())
        let rest = abs(hundredths % 100)
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }

    /// A whole number with a separator of thousands.
    fileprivate var grouped: String {
        let digits = String(Int(self))
        var grouped = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index).isMultiple(of: 3) { grouped += "," }
            grouped.append(digit)
        }
        return grouped
    }
}
