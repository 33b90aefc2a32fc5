import Seal
import Testing

@testable import TunnelClient

@Suite("A reload of a client")
struct ClientReloadTests {
    @Test("names the keys that need a restart, servers and carriers among them, and no others")
    func restart() throws {
        let old = ClientConfiguration(endpoints: [], tunnels: [], token: nil, instance: [1])
        #expect(ClientReload.restart(from: old, to: old).isEmpty)
        var new = old
        new.carriers = try CarrierCount("2-4")
        new.carriersOver = .spread
        new.servers = 2
        new.encryption = .required
        new.serverKeys = [ServerKey().publicKey]
        let keys = ["encryption", "server_key", "servers", "carriers", "carriers_over"]
        let expected = keys.map { "\($0) changes with a restart only" }
        #expect(ClientReload.restart(from: old, to: new) == expected)
    }
}
