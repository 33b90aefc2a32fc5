import ArgumentParser
import Tunnel

/// `culvert client-rotate`: replaces a client's token without a refusal.
struct ClientRotateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "client-rotate",
        abstract:
            "Replaces a client's token: makes a new one beside the old one, and removes the old one with --finish.",
        discussion: """
            First run it without --finish: the server then accepts both tokens. Give the new one to the client, and reload \
            or restart it there. Then run it with --finish: the old token is not accepted any more, and a client that still \
            uses it is disconnected.
            """
    )

    @Argument(help: "The client's name in the configuration.")
    var name: String

    @Flag(help: "Remove the old token.")
    var finish = false

    @OptionGroup var token: ClientTokenOptions
    @OptionGroup var change: ClientChangeOptions

    func run() async throws {
        var edit = try ServerConfigurationEdit(change.config)
        let index = try edit.index(of: name)
        let verifiers = edit.entries.entries[index].verifiers
        guard let newest = verifiers.last else { throw edit.unusual(name) }
        if finish {
            guard verifiers.count > 1 else {
                throw Failure(.usage, "\(name) has one token only; begin with client-rotate \(name), without --finish")
            }
            guard edit.entries.setVerifiers([newest], of: index) else { throw edit.unusual(name) }
            try edit.save()
            return try await change.reload()
        }
        guard verifiers.count < ServerFile.maximumVerifiers else {
            throw Failure(
                .usage,
                "\(name) has two tokens: end the rotation with client-rotate \(name) --finish once the client uses the new one"
            )
        }
        let token = try ClientToken()
        guard edit.entries.setVerifiers(verifiers + [token.verifier], of: index) else { throw edit.unusual(name) }
        try token.hand(over: self.token.tokenOut) { () throws(Failure) in try edit.save() }
        try await change.reload()
        Output.line("the server accepts the old token and the new one")
        Output.line("on the client's machine: put the new token in the place of the old one, and run culvert reload")
        Output.line("then, here: culvert client-rotate \(name) --finish")
    }
}
