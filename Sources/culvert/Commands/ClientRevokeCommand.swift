import ArgumentParser
import Tunnel

/// `culvert client-revoke`: takes a client's access away.
struct ClientRevokeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "client-revoke",
        abstract: "Removes a client's entry from the server's configuration, and disconnects the client."
    )

    @Argument(help: "The client's name in the configuration.")
    var name: String

    @OptionGroup var change: ClientChangeOptions

    func run() async throws {
        var edit = try ServerConfigurationEdit(change.config)
        guard edit.entries.remove(try edit.index(of: name)) else { throw edit.unusual(name) }
        try edit.save()
        try await change.reload()
    }
}
