import HTTP1
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import Synchronization
import TestSupport

@testable import ACME
@testable import TunnelServer

/// What a server's listeners do for challenges: `/.well-known/acme-challenge/` on http, and a handshake with ALPN
/// `acme-tls/1` on https. Each http connection has a thread, each https connection a channel.
final class ChallengeResponder: Sendable {
    let http: UInt16
    let https: UInt16
    private let certificates = Mutex<ACMECertificates?>(nil)
    private let listener = Mutex<(any Channel)?>(nil)

    init() async throws {
        (http, https) = (try FreePorts.next(), try FreePorts.next())
        _ = try TCPService(port: http) { [self] socket in
            var parser = RequestHeadParser()
            var head: RequestHead?
            while head == nil {
                var buffer = ByteBuffer(bytes: try socket.receive())
                if buffer.readableBytes == 0 { return }
                head = try parser.receive(&buffer)
            }
            let prefix = "/.well-known/acme-challenge/"
            let body = head.flatMap { head in
                head.target.hasPrefix(prefix)
                    ? certificates.withLock { $0 }?.challenge(token: String(head.target.dropFirst(prefix.count))) : nil
            }
            let status = body == nil ? "404 Not Found" : "200 OK"
            let length = body?.utf8.count ?? 0
            try socket.send("HTTP/1.1 \(status)\r\nContent-Length: \(length)\r\nConnection: close\r\n\r\n\(body ?? "")")
            try socket.finishSending()
            _ = try socket.receiveToEnd()
        }
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture {
                    let names = ByteToMessageHandler(
                        SNIHandler { result in
                            channel.eventLoop.makeCompletedFuture {
                                try channel.pipeline.syncOperations.addHandler(self.handshake(result))
                            }
                        }
                    )
                    try channel.pipeline.syncOperations.addHandler(names)
                }
            }
            .bind(host: "127.0.0.1", port: Int(https)).get()
        listener.withLock { $0 = channel }
    }

    func serve(_ certificates: ACMECertificates) { self.certificates.withLock { $0 = certificates } }

    func stop() async throws { try await listener.withLock { $0 }?.close() }

    private func handshake(_ result: SNIResult) throws -> NIOSSLServerHandler {
        guard case .hostname(let name) = result,
            let shown = certificates.withLock({ $0 })?.alpnCertificate(for: name)
        else { throw ChannelError.eof }
        var tls = TLSConfiguration.makeServerConfiguration(certificateChain: shown.chain, privateKey: shown.key)
        tls.applicationProtocols = [ChallengeCertificate.applicationProtocol]
        tls.trustRoots = .certificates([])
        return NIOSSLServerHandler(context: try NIOSSLContext(configuration: tls))
    }
}
