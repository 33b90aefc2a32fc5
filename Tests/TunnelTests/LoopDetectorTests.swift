import Testing

@testable import Tunnel

@Suite("Tunnels that lead to themselves")
struct LoopDetectorTests {
    @Test(
        "a visitor is one of our sockets if it has its address, and on loopback if that leads to the public port",
        arguments: [
            ("192.0.2.1:40000", nil, "192.0.2.1:40000", 8_022, true),
            ("192.0.2.1:40000", nil, "192.0.2.1:40001", 8_022, false),
            ("127.0.0.1:40000", 8_022, "127.0.0.1:40000", 8_022, true),
            ("[::1]:40000", 8_022, "[::1]:40000", 8_022, true),
            // The service is ssh's port, and its socket shares the number 40000 with that of an ordinary visitor.
            ("127.0.0.1:40000", 22, "127.0.0.1:40000", 8_022, false),
            ("127.0.0.1:40000", 22, "127.0.0.1:40000", nil, false),
        ] as [(String, UInt16?, String, UInt16?, Bool)]
    )
    func sockets(local: String, port: UInt16?, visitor: String, publicPort: UInt16?, isLoop: Bool) {
        let sockets: Set = [LoopDetector.Socket(local: local, loopbackPort: port)]
        #expect(LoopDetector.isLoop(visitor, at: publicPort, of: sockets) == isLoop)
    }
}
