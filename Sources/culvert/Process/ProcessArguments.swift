import CProcess

/// Reads the arguments from the system. Swift reads them from /proc, and has none without it.
enum ProcessArguments {
    /// All arguments without the program's name.
    ///
    /// - Throws: if an argument is not in UTF-8, which Swift would change, or if the arguments cannot be read.
    static func all() throws(Failure) -> [String] {
        let count = culvert_argument_count()
        guard count > 0 else {
            let arguments = CommandLine.arguments
            guard !arguments.isEmpty else {
                throw Failure(.system, "the arguments cannot be read; mount /proc")
            }
            return Array(arguments.dropFirst())
        }
        var arguments: [String] = []
        for number in 1..<max(count, 1) {
            guard let pointer = culvert_argument(number) else { break }
            guard let text = String(validatingCString: pointer) else {
                throw Failure(.usage, "argument \(number) is not in UTF-8")
            }
            arguments.append(text)
        }
        return arguments
    }
}
