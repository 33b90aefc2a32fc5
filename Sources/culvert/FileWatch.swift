import Foundation

/// Notices that files have changed, as a certificate does when it is renewed. It looks every ten seconds: a few calls
/// that work on every file system.
struct FileWatch {
    private struct State: Equatable {
        let modified: Date?
        let size: Int?
    }

    private static let period = Duration.seconds(10)
    private let paths: [String]

    init(_ paths: [String]) {
        self.paths = paths
    }

    /// Calls `onChange` after each change, until its task is cancelled. A file that is missing for a moment, while it is
    /// replaced, is no change yet.
    func run(onChange: () -> Void) async {
        guard !paths.isEmpty else { return }
        var known = states
        while (try? await Task.sleep(for: Self.period)) != nil {
            let now = states
            guard now != known, now.allSatisfy({ $0.size != nil }) else { continue }
            known = now
            onChange()
        }
    }

    private var states: [State] {
        paths.map { path in
            let attributes = try? FileManager.default.attributesOfItem(atPath: path)
            return State(modified: attributes?[.modificationDate] as? Date, size: attributes?[.size] as? Int)
        }
    }
}
