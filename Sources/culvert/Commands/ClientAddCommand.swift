import ArgumentParser
import HTTPRelay
import NetworkAddress
import Tunnel

/// `culvert client-add`: admits another client to a server.
struct ClientAddCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "client-add",
        abstract:
            "Makes a token for a new client, adds its entry to the server's configuration, and reloads the server.",
        discussion:
            "The whole configuration is checked before the file changes. Standard output has the token, and what the "
            + "client's machine has to run."
    )

    @Argument(help: "A name for the client: it shows in the log, in the status and in refusals.")
    var name: String

    @Option(help: "The public ports that it may have, for instance 8022 or 8020-8029,9000. (default: the server's)")
    var allowPorts: String?

    @Option(help: "A destination that it may reach from the server; may be repeated. (default: none)")
    var allowConnect: [String] = []

    @Option(help: "A host name that it may have, app.example.com or *.example.com; may be repeated. (default: none)")
    var allowNames: [String] = []

    @OptionGroup var token: ClientTokenOptions
    @OptionGroup var change: ClientChangeOptions

    func validate() throws {
        let isPrintable = name.unicodeScalars.allSatisfy { $0.value >= 32 && $0.value != 127 }
        guard !name.isEmpty, name.utf8.count <= 64, isPrintable else {
            throw ValidationError("the name must have 1 to 64 printable characters")
        }
        if let allowPorts, PortRanges(allowPorts) == nil {
            throw ValidationError("--allow-ports \(allowPorts): the form is 1024-65535 or 8000-8099,9000")
        }
        for rule in allowConnect where DestinationRule(rule) == nil {
            throw ValidationError("--allow-connect \(rule): \(DestinationRule.form)")
        }
        for pattern in allowNames where NamePattern(pattern) == nil {
            throw ValidationError("--allow-names \(pattern): \(NamePattern.form)")
        }
    }

    func run() async throws {
        var edit = try ServerConfigurationEdit(change.config)
        guard edit.entries.index(of: name) == nil else {
            throw Failure(
                .usage,
                "\(edit.path) has a client \(name) already; choose another name, or give it a new token with client-rotate"
            )
        }
        let token = try ClientToken()
        var lines: [String] = []
        if let allowPorts { lines.append("allow_ports = \(ClientEntries.quoted(allowPorts))") }
        if !allowConnect.isEmpty {
            lines.append("allow_connect = [\(allowConnect.map(ClientEntries.quoted).joined(separator: ", "))]")
        }
        if !allowNames.isEmpty {
            lines.append("allow_names = [\(allowNames.map(ClientEntries.quoted).joined(separator: ", "))]")
        }
        edit.entries.add(name, verifier: token.verifier, lines)
        // The token is in the user's hands before the server accepts it.
        try token.hand(over: self.token.tokenOut) { () throws(Failure) in try edit.save() }
        try await change.reload()
        let server = try ServerCommand.parse(["--config", edit.path]).configuration()
        let ports = allowPorts.flatMap { PortRanges($0) } ?? server.allowedPorts
        let url = self.token.shownURL(path: server.path)
        for line in token.instructions(file: self.token.tokenOut, url: url, port: ports.ranges.first?.lowerBound) {
            Output.line(line)
        }
    }
}
