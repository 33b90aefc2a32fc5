import Mux
import Testing

@testable import TunnelClient

@Suite("P11 tunnels to their own public ports")
struct LoopDetectorTests {
    @Test(
        "A visitor is a loop if its address is a local socket to the same public port",
        arguments: [
            ("192.0.2.1:40000", 8_022, "192.0.2.1:40000", true), ("192.0.2.1:40000", 8_022, "192.0.2.1:40001", false),
            ("[::1]:40000", 8_022, "[::1]:40000", true),
            // The service has port 22, and its socket has the same local port as an ordinary visitor.
            ("127.0.0.1:40000", 22, "127.0.0.1:40000", false),
        ] as [(String, UInt16, String, Bool)]
    )
    func sockets(local: String, port: UInt16, visitor: String, isLoop: Bool) throws {
        let detector = LoopDetector(serverHost: "tunnel.example")
        let visit = OpenRequest(tunnel: 3, visitor: visitor)
        #expect(detector.join(LoopDetector.Socket(local: local, port: port)))
        #expect(!detector.isLoop(visit), "no port is public")
        detector.bound(
            Binding(tunnel: 3, address: "0.0.0.0", port: 8_022),
            to: try TunnelSpec("8022:localhost:22")
        )
        #expect(detector.isLoop(visit) == isLoop)
        #expect(!detector.isLoop(OpenRequest(tunnel: 4, visitor: visitor)))
    }

    @Test("A service with the server's own name and the public port is a loop, regardless of addresses")
    func name() throws {
        let detector = LoopDetector(serverHost: "Tunnel.Example")
        for (service, isLoop) in [("tunnel.example:8022", true), ("tunnel.example:22", false), ("other:8022", false)] {
            detector.bound(
                Binding(tunnel: 0, address: "0.0.0.0 ::", port: 8_022),
                to: try TunnelSpec("8022:\(service)")
            )
            #expect(detector.isLoop(OpenRequest(tunnel: 0, visitor: "203.0.113.9:5")) == isLoop, "\(service)")
        }
    }
}
