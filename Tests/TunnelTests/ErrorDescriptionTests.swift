import HTTP1
import Mux
import NIOCore
import NIOPosix
import NIOSSL
import TestSupport
import Testing
import WebSocket

@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

/// Descriptions of library errors for users.
@Suite("Descriptions of errors")
struct ErrorDescriptionTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let error: any Error
        let words: String

        var testDescription: String { words }
    }

    private struct Unknown: Error {
        let things = [1, 2]
    }

    static let rows: [Row] = [
        Row(error: IOError(errnoCode: ECONNREFUSED, reason: "connect"), words: "connection refused"),
        Row(error: IOError(errnoCode: ECONNRESET, reason: "read"), words: "connection reset by peer"),
        Row(error: ChannelError.connectTimeout(.seconds(1)), words: "no answer in time"),
        Row(error: ChannelError.ioOnClosedChannel, words: "the connection is closed"),
        Row(error: ChannelError.operationUnsupported, words: "the connection failed"),
        Row(error: CancellationError(), words: "it was cancelled"),
        Row(error: NIOSSLError.uncleanShutdown, words: "the connection was closed during the handshake"),
        Row(error: NIOSSLError.failedToLoadPrivateKey, words: "the connection broke off"),
        Row(
            error: NIOSSLError.handshakeFailed(.sslError([.eofDuringHandshake])),
            words: "the connection was closed during the handshake"
        ),
        Row(error: BoringSSLError.unknownError([]), words: "the connection was closed during the handshake"),
        Row(error: NIOSSLExtraError.invalidSNIHostname, words: "the connection broke off"),
        Row(error: CertificateProblem.selfSigned, words: "the certificate of the other end is signed by itself"),
        Row(error: HTTP1Error(.notHTTP), words: "not HTTP"),
        Row(error: Unknown(), words: "something unexpected went wrong"),
    ]

    @Test("contain no type, case, list or path", arguments: rows)
    func words(row: Row) {
        #expect(row.error.userDescription.hasPrefix(row.words), "\(row.error.userDescription)")
        #expect(InternalNames.first(in: row.error.userDescription) == nil, "\(row.error.userDescription)")
    }

    @Test("A failed connection has its reason, or reports the missing address")
    func connection() async throws {
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        let port = try FreePorts.next()
        await #expect { try await bootstrap.connect(host: "127.0.0.1", port: Int(port)).get() } throws: {
            $0.userDescription == "connection refused"
        }
    }

    @Test("The reason of a BoringSSL error is extracted, and an alert is named")
    func alert() async throws {
        try await Scenario.run { scenario in
            let made = try await Certificate.make(in: scenario)
            let chain = try NIOSSLCertificate.fromPEMFile(made.certificate)
            let key = try NIOSSLPrivateKey(file: made.key, format: .pem)
            let context = try NIOSSLContext(
                configuration: .tunnelServer(
                    certificateChain: chain.map { .certificate($0) },
                    privateKey: .privateKey(key)
                )
            )
            let failed = MultiThreadedEventLoopGroup.singleton.next().makePromise(of: String.self)
            let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
                        try channel.pipeline.syncOperations.addHandler(Catcher(failed))
                    }
                }
                .bind(host: "127.0.0.1", port: 0).get()
            let socket = try TCPSocket(port: UInt16(server.localAddress?.port ?? 0))
            try socket.send("GET / HTTP/1.1\r\n\r\n")
            #expect(try await failed.futureResult.get() == "the other end does not speak TLS")
            try await server.close()
        }
    }

    private final class Catcher: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let promise: EventLoopPromise<String>
        init(_ promise: EventLoopPromise<String>) { self.promise = promise }
        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            promise.succeed(error.userDescription)
            context.close(promise: nil)
        }
    }
}
