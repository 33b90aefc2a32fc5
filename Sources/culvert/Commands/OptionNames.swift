import ArgumentParser

/// Finds options that a command does not have, and suggests the ones that were meant.
///
/// This check comes first. Otherwise the value behind a mistyped option would be taken for a URL, and the error would
/// repeat it, although it may be a secret.
struct OptionNames {
    /// Each name with its dashes; true if a value follows it.
    private let takesValue: [String: Bool]

    /// - Parameter help: the command's help, which lists all options.
    init(help: String) {
        var names: [String: Bool] = ["--help": false, "-h": false, "--version": false]
        for line in help.split(separator: "\n") where line.hasPrefix("  -") {
            let words = line.split(separator: " ")
            let own = words.prefix { $0.hasPrefix("-") }
            let hasValue = words.dropFirst(own.count).first?.hasPrefix("<") == true
            for name in own { names[name.filter { $0 != "," }] = hasValue }
        }
        takesValue = names
    }

    /// The first unknown option among a command's arguments, as an error; nil if all are known.
    func problem(_ arguments: some Collection<String>) -> String? {
        var isValue = false
        for argument in arguments {
            if isValue {
                isValue = false
                continue
            }
            guard argument.hasPrefix("-"), argument != "-" else { continue }
            if argument == "--" { return nil }
            let name = String(argument.prefix { $0 != "=" })
            let short = String(argument.prefix(2))
            if let takes = takesValue[name] {
                isValue = takes && name == argument
            } else if argument.hasPrefix("--") || takesValue[short] == nil {
                return Self.words(argument.hasPrefix("--") ? name : short, takesValue.keys)
            }
        }
        return nil
    }

    /// The error names the option alone, never its value.
    private static func words(_ name: String, _ known: some Sequence<String>) -> String {
        switch name {
        case "--token", "--password", "--secret":
            return "there is no option \(name), because arguments show in the process list; "
                + "use --token-file or CULVERT_TOKEN"
        case "--proxy-password":
            return "there is no option \(name); use --proxy-password-file or CULVERT_PROXY_PASSWORD"
        default:
            let long = known.filter { $0.hasPrefix("--") }
            let near = name.hasPrefix("--") ? SpellingSuggestion.nearest(name, among: long) : nil
            return "unknown option \(name)"
                + (near.map { "; did you mean \($0)?" } ?? "; `--help` lists all options")
        }
    }

    /// The first unknown option of a command line; nil if all are known, or if the command is not.
    static func problem(inCommandLine arguments: [String]) -> String? {
        let commands = Culvert.configuration.subcommands
        guard let name = arguments.first, let command = commands.first(where: { $0.configuration.commandName == name })
        else { return nil }
        return OptionNames(help: Culvert.helpMessage(for: command, columns: 1_000)).problem(arguments.dropFirst())
    }
}
