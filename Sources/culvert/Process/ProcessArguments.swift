import CProcess

/// The arguments as the system handed them over. Swift's own come from /proc, and without it there are none.
enum ProcessArguments {
    /// All but the program's own name.
    ///
    /// - Throws: if one is not in UTF-8, which Swift would replace by another text, or if there are none to be seen.
    static func all() throws(Failure) -> [String] {
        let count = culvert_argument_count()
        guard count > 0 else {
            let arguments = CommandLine.arguments
            guard !arguments.isEmpty else {
                throw Failure(.system, "the arguments cannot be seen: is /proc mounted?")
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
