import Mux
import NIOCore
import TestSupport
import Testing

@testable import TunnelClient
@testable import TunnelCore

/// Dials of other servers, whose URLs are in the cluster's store.
@Suite("Dials of other servers")
struct PeerDiallerTests {
    private final class Owner: PeerConnectionOwner {
        let ends: Mailbox<String>

        init(_ ends: Mailbox<String>) { self.ends = ends }

        func connectionBegan(_ opener: any StreamOpener) { ends.put("it has begun") }
        func connectionEnded(_ reason: String) { ends.put(reason) }
    }

    /// The reason for which an attempt ends.
    private func end(_ dialler: ServerPeerDialler, _ url: String) async throws -> String {
        let loop = NIOSingletons.posixEventLoopGroup.next()
        let ends = Mailbox<String>()
        let connection = try await loop.submit {
            dialler.connect(to: url, NIOLoopBound<any PeerConnectionOwner>(Owner(ends), eventLoop: loop))
        }.get()
        defer { connection.close() }
        return try await ends.next("the end of \(url)")
    }

    @Test("A URL without TLS is dialled at a loopback address alone")
    func plain() async throws {
        let service = try TCPService { socket in try socket.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        }
        defer { service.stop() }
        let dialler = ServerPeerDialler(token: nil, trust: TLSTrust(), logger: CollectedLog().logger)
        for host in ["localhost", "127.0.0.1.example", "10.0.0.5", "[::2]", "0.0.0.0", "127.1"] {
            let reason = try await end(dialler, "ws://\(host):\(service.port)/peer")
            #expect(
                reason.hasPrefix("its peer_url ws://") && reason.hasSuffix("is dialled at a loopback address alone")
            )
        }
        #expect(service.accepted == 0)
        _ = try await end(dialler, "ws://127.0.0.1:\(service.port)/peer")
        #expect(service.accepted == 1)
    }

    @Test("A ticket that another server has given is in the next dial")
    func ticket() async throws {
        let heads = Mailbox<String>()
        let service = try TCPService { socket in
            heads.put(String(decoding: try socket.receive(), as: UTF8.self))
            try socket.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        }
        defer { service.stop() }
        let dialler = ServerPeerDialler(token: nil, trust: TLSTrust(), logger: CollectedLog().logger)
        let url = "ws://127.0.0.1:\(service.port)/peer"
        dialler.context.serverTickets.keep(Array("a ticket".utf8), for: try EndpointURL(url))
        for _ in 0..<2 {
            _ = try await end(dialler, url)
            #expect(try await heads.next("a dial").firstRange(of: "YSB0aWNrZXQ=") != nil)
        }
    }
}
