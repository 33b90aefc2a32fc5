import ArgumentParser

/// The size and the pace of requests: `BYTES/MILLISECONDS`.
struct PacedRequests: ExpressibleByArgument, Equatable, Sendable {
    /// The bytes of a request, and of its echo.
    var bytes = Exchange.bytes
    /// The time between two requests.
    var milliseconds = 100

    /// The text of ``init(argument:)``.
    var argument: String { "\(bytes)/\(milliseconds)" }

    /// The same in the help.
    var defaultValueDescription: String { argument }
}

extension PacedRequests {
    /// Reads `BYTES/MILLISECONDS`.
    init?(argument: String) {
        let parts = argument.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
        guard parts.count == 2, let bytes = parts[0], let milliseconds = parts[1], (1...65_536).contains(bytes),
            (1...1_000).contains(milliseconds)
        else { return nil }
        self.init(bytes: bytes, milliseconds: milliseconds)
    }
}
