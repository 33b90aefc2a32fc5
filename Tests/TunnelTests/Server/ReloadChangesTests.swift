import Seal
import Testing

@testable import TunnelServer

@Suite("What a reload has changed")
struct ReloadChangesTests {
    private func configuration(_ clients: ClientRights...) -> ServerConfiguration {
        var configuration = ServerConfiguration()
        configuration.clients = clients
        return configuration
    }

    private func rights(_ name: String, _ identity: Identity = .alice) -> ClientRights {
        ClientRights(name: name, verifier: identity.credentials.verifier)
    }

    @Test("Clients are told by name: added, removed, changed")
    func clients() {
        var changed = rights("b", .bob)
        changed.bandwidth = 5
        let result = ReloadChanges.result(
            from: configuration(rights("a"), rights("b", .bob)),
            to: configuration(changed, rights("c", .mallory))
        )
        #expect(result.changes == ["client a removed", "client b changed", "client c added"])
        #expect(result.restart.isEmpty && result.problem == nil)
    }

    @Test("A rotation of a token is told step by step")
    func tokens() {
        var both = rights("a")
        both.furtherVerifiers = [Identity.bob.credentials.verifier]
        let begun = ReloadChanges.result(from: configuration(rights("a")), to: configuration(both))
        #expect(begun.changes == ["client a changed: another token is accepted"])
        let finished = ReloadChanges.result(from: configuration(both), to: configuration(rights("a", .bob)))
        #expect(finished.changes == ["client a changed: a token is not accepted any more"])
    }

    @Test("What needs a restart is told apart, and an unchanged configuration has no lines")
    func restart() {
        let old = configuration(rights("a"))
        #expect(ReloadChanges.result(from: old, to: old).changes.isEmpty)
        var new = old
        new.path = "/other"
        new.publicAddress = "127.0.0.1"
        let result = ReloadChanges.result(from: old, to: new)
        #expect(result.changes == ["path changed"])
        #expect(result.restart == ["public_address changes with a restart only"])
    }

    @Test("The seal and another key need a restart, and the same key read again does not")
    func key() {
        var (old, new) = (configuration(rights("a")), configuration(rights("a")))
        let key = ServerKey()
        old.serverKey = key
        new.serverKey = ServerKey(rawRepresentation: key.rawRepresentation)
        #expect(ReloadChanges.result(from: old, to: new).restart.isEmpty)
        new.serverKey = ServerKey()
        new.encryption = .required
        let restart = ReloadChanges.result(from: old, to: new).restart
        #expect(restart == ["encryption", "key_file"].map { "\($0) changes with a restart only" })
    }
}
