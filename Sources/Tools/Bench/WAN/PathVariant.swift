import ArgumentParser

/// Culvert under a name, with its own flags or executable: a value of `--variant`.
struct PathVariant: ExpressibleByArgument, Hashable, Sendable {
    let name: String
    /// The executable; nil for the one under test.
    var executable: String?
    /// Further arguments of the client.
    var flags: [String] = []

    /// Culvert as it is.
    static let plain = PathVariant(name: PathSystem.Kind.culvert.rawValue)
}

extension PathVariant {
    /// Reads `NAME=FLAGS` or `NAME@EXECUTABLE=FLAGS`. Spaces separate flags.
    init?(argument: String) {
        guard let equals = argument.firstIndex(of: "=") else { return nil }
        let head = argument[..<equals].split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        guard let name = head.first, !name.isEmpty, head.count == 1 || !head[1].isEmpty else { return nil }
        self.init(
            name: String(name),
            executable: head.count > 1 ? String(head[1]) : nil,
            flags: argument[argument.index(after: equals)...].split(separator: " ").map(String.init)
        )
    }
}
