/// The manual page of one command, in mdoc(7).
///
/// The parser's own plugin makes pages too. Its pages have warnings of mandoc, claim exit codes that Culvert does not have,
/// show hidden commands, and need a build of all targets.
struct ManualPage {
    /// `culvert-server`, as `man` takes it.
    let name: String
    let text: String

    /// The pages of a program and its commands.
    ///
    /// - Parameters:
    ///   - date: the date at the foot, `January 31, 2026`.
    ///   - sections: more sections of the program's own page, in mdoc.
    static func all(of tool: ToolDescription, date: String, sections: String) -> [ManualPage] {
        let top = tool.command
        let commands = top.shownSubcommands
        let main = ManualPage(top, name: top.commandName, invocation: top.commandName, date: date) { lines in
            lines.append(".Sh COMMANDS")
            lines.append(".Bl -tag -width Ds")
            for command in commands {
                lines.append(".It Xr \(top.commandName)-\(command.commandName) 1")
                lines += MdocText(command.abstract ?? "").lines
            }
            lines.append(".El")
            lines += sections.split(separator: "\n").map(String.init)
        }
        return [main]
            + commands.map { command in
                let name = "\(top.commandName)-\(command.commandName)"
                let invocation = "\(top.commandName) \(command.commandName)"
                return ManualPage(command, name: name, invocation: invocation, date: date) { lines in
                    lines.append(".Sh EXIT STATUS")
                    lines += ["The codes are those of", ".Xr \(top.commandName) 1 ."]
                    lines.append(".Sh SEE ALSO")
                    lines += [".Xr \(top.commandName) 1 ,", ".Xr \(top.commandName).toml 5"]
                }
            }
    }

    private init(
        _ command: ToolDescription.Command,
        name: String,
        invocation: String,
        date: String,
        rest: (inout [String]) -> Void
    ) {
        self.name = name
        let abstract = command.abstract ?? ""
        var lines = [
            ".\\\" Made from the flags of the executable.", ".Dd \(date)", ".Dt \(name.uppercased()) 1", ".Os",
            ".Sh NAME", ".Nm \(name)", ".Nd \(Self.clause(abstract))", ".Sh SYNOPSIS", ".Nm \(invocation)",
        ]
        let arguments = command.shownArguments
        if command.shownSubcommands.isEmpty {
            lines += Self.synopsis(arguments)
        } else {
            lines += [".Ar command", ".Op Ar option ..."]
        }
        lines += [".Sh DESCRIPTION"] + MdocText(abstract).lines
        if let discussion = command.discussion, !discussion.isEmpty { lines += [".Pp"] + MdocText(discussion).lines }
        if !arguments.isEmpty {
            if !command.shownSubcommands.isEmpty { lines.append(".Ss Options") }
            lines.append(".Bl -tag -width Ds")
            for argument in arguments { lines += Self.item(argument) }
            lines.append(".El")
        }
        rest(&lines)
        text = lines.joined(separator: "\n") + "\n"
    }

    /// The arguments one by one, or `[option ...]` for a command with many.
    private static func synopsis(_ arguments: [ToolDescription.Argument]) -> [String] {
        let options = arguments.filter { $0.kind != .positional }
        let shown = options.count > 8 ? [".Op Ar option ..."] : options.map { ".Op \(invocation($0, names: 1))" }
        return shown
            + arguments.filter { $0.kind == .positional }.map { argument in
                argument.isOptional ? ".Op \(value(argument))" : ".\(value(argument))"
            }
    }

    private static func item(_ argument: ToolDescription.Argument) -> [String] {
        var lines = [".It \(invocation(argument, names: .max))"]
        lines += MdocText(argument.abstract ?? "").lines
        if let values = argument.allValueStrings, !values.isEmpty {
            lines += MdocText("One of \(values.joined(separator: ", ")).").lines
        }
        if let standard = argument.defaultValue { lines += MdocText("The default is `\(standard)`.").lines }
        if let discussion = argument.discussion, !discussion.isEmpty { lines += MdocText(discussion).lines }
        return lines
    }

    /// The names and the value of an argument. Of several names, short ones come first.
    private static func invocation(_ argument: ToolDescription.Argument, names limit: Int) -> String {
        guard argument.kind != .positional else { return value(argument) }
        let names = (argument.names ?? []).sorted { $0.text.utf8.count < $1.text.utf8.count }
        // A leading dash comes from the macro.
        let flags = names.prefix(limit).map { "Fl \(MdocText.word($0.text.dropFirst()))" }.joined(separator: " , ")
        return argument.kind == .option ? "\(flags) \(value(argument))" : flags
    }

    private static func value(_ argument: ToolDescription.Argument) -> String {
        "Ar \(argument.valueName ?? "value")" + (argument.isRepeating && argument.kind == .positional ? " ..." : "")
    }

    /// A sentence as the one-line description of a page: without its capital letter and its full stop.
    private static func clause(_ sentence: String) -> String {
        let text = sentence.split(separator: "\n").first.map(String.init) ?? ""
        let start = text.prefix(1).lowercased() + text.dropFirst()
        return MdocText.word(start.hasSuffix(".") ? String(start.dropLast()) : start)
    }
}
