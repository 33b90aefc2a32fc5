import Mux
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import TestSupport
import Testing
import WebSocket

@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

@Suite("How much of a carrier is read at a time")
struct CarrierReadsTests {
    /// A read of so many messages, and bytes for each of them.
    private func read(_ reads: inout CarrierReads, _ messages: Int, of bytes: Int) -> Bool {
        reads.brings(messages * bytes)
        for _ in 0..<messages { reads.bringsMessage(min(bytes, 64)) }
        return reads.end()
    }

    /// Reads of a socket where crowds come.
    private func crowded() -> CarrierReads {
        var reads = CarrierReads()
        for _ in 0..<8 { _ = read(&reads, 64, of: 78) }
        return reads
    }

    @Test(
        "eight crowds in a row have it read little at a time, and seven do not",
        arguments: [(12, 78), (12, 96), (1_000, 32)]
    )
    func crowds(messages: Int, bytes: Int) {
        var reads = CarrierReads()
        for _ in 0..<7 {
            let hasChanged = read(&reads, messages, of: bytes)
            #expect(!hasChanged)
        }
        #expect(!reads.areShort)
        let hasChanged = read(&reads, messages, of: bytes)
        #expect(hasChanged && reads.areShort)
    }

    @Test(
        "M27 a few at once, longer ones, single bytes, and one of these between crowds are none",
        arguments: [(11, 78), (12, 97), (1_000, 31)]
    )
    func noCrowd(messages: Int, bytes: Int) {
        var reads = CarrierReads()
        for _ in 0..<100 {
            _ = read(&reads, messages, of: bytes)
            #expect(!reads.areShort)
        }
        for _ in 0..<100 {
            for _ in 0..<7 { _ = read(&reads, 64, of: 78) }
            #expect(!reads.areShort)
            _ = read(&reads, messages, of: bytes)
            #expect(!reads.areShort)
        }
    }

    @Test("the first short read that a longer piece fills ends it; one that is not full does not, nor do crowds")
    func longer() {
        var reads = crowded()
        for (messages, bytes) in [(14, 78), (4, 256), (64, 16), (0, 0), (1, 1_023)] {
            let hasChanged = read(&reads, messages, of: bytes)
            #expect(!hasChanged && reads.areShort)
        }
        for (messages, bytes) in [(0, 1_024), (1, 1_024), (3, 342), (69, 15)] {
            reads = crowded()
            reads.brings(messages == 0 ? bytes : 0)
            let hasChanged = read(&reads, messages, of: bytes)
            #expect(hasChanged && !reads.areShort)
            // It counts crowds from the beginning.
            for _ in 0..<7 { _ = read(&reads, 64, of: 78) }
            #expect(!reads.areShort)
        }
    }

    @Test("what is compressed to a little is no crowd's, nor is it left to short reads")
    func compressed() {
        for length in [96, 97] {
            var reads = CarrierReads()
            for _ in 0..<8 {
                reads.brings(64 * 78)
                for _ in 0..<64 { reads.bringsMessage(length) }
                _ = reads.end()
            }
            #expect(reads.areShort == (length == 96))
            reads = crowded()
            reads.brings(1_024)
            for _ in 0..<12 { reads.bringsMessage(length) }
            _ = reads.end()
            #expect(reads.areShort == (length == 96))
        }
    }

    @Test("a socket is read so: 1 KiB where crowds come and as much as comes of a copy; through TLS always that")
    func socket() async throws {
        try await Scenario.play { scenario in
            let made = try await Certificate.make(in: scenario)
            let context = try NIOSSLContext(
                configuration: .makeServerConfiguration(
                    certificateChain: NIOSSLCertificate.fromPEMFile(made.certificate).map { .certificate($0) },
                    privateKey: .privateKey(NIOSSLPrivateKey(file: made.key, format: .pem))
                )
            )
            for tls in [nil, context] {
                var scene = try await Scene(tls)
                for _ in 0..<10 { try await scene.send(Array(repeating: 64, count: 100)) }
                let sizes = try await scene.send(Array(repeating: 64, count: 100))
                #expect((sizes.max() == 1_024) == (tls == nil), "\(sizes)")
                let copy = try await scene.send([65_536])
                #expect(copy.max() ?? 0 > 1_024, "\(copy)")
                try await scene.close()
            }
        }
    }

    /// A carrier on a real socket, and whoever sends to it.
    private struct Scene: ~Copyable {
        private let port: any Channel
        private let peer: any Channel
        private var connection: WebSocket.Connection
        private var frames: AsyncStream<Void>.Iterator
        private let sizes: Sizes

        init(_ tls: NIOSSLContext?) async throws {
            let (stream, arrivals) = AsyncStream.makeStream(of: Void.self)
            let group = MultiThreadedEventLoopGroup.singleton
            let sizes = Sizes()
            let port = try await ServerBootstrap(group: group)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try SocketOptions.carrier(channel)
                        let pipeline = channel.pipeline.syncOperations
                        try pipeline.addHandler(SizeNoter(sizes))
                        if let tls { try pipeline.addHandler(NIOSSLServerHandler(context: tls)) }
                        let receiver = Arrivals(arrivals)
                        let carrier = Carrier(role: .server, deflate: nil, receiver: receiver)
                        carrier.admit(receiver)
                        try pipeline.addHandler(carrier)
                    }
                }
                .bind(host: "127.0.0.1", port: 0).get()
            var trusting = TLSConfiguration.makeClientConfiguration()
            trusting.certificateVerification = .none
            let client = try tls.map { _ in try NIOSSLContext(configuration: trusting) }
            let peer = try await ClientBootstrap(group: group)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        guard let client else { return }
                        let handler = try NIOSSLClientHandler(context: client, serverHostname: nil)
                        try channel.pipeline.syncOperations.addHandler(handler)
                    }
                }
                .connect(to: #require(port.localAddress)).get()
            (self.port, self.peer, self.sizes) = (port, peer, sizes)
            connection = Connection(role: .client)
            frames = stream.makeAsyncIterator()
        }

        /// Sends messages of so many bytes, all at once, and waits until they have come.
        ///
        /// - Returns: how much each read of the socket has brought.
        @discardableResult
        mutating func send(_ lengths: [Int]) async throws -> [Int] {
            var (header, out) = (ByteBuffer(), ByteBuffer())
            for length in lengths {
                let frame = OutboundFrame(.data, StreamID(2), ByteBuffer(repeating: 7, count: length))
                header.clear()
                frame.header.write(into: &header)
                try connection.encodeMessage(.binary, prefix: header, payload: frame.payload, into: &out)
            }
            sizes.take()
            try await peer.writeAndFlush(out)
            for _ in lengths { await frames.next() }
            return sizes.take()
        }

        func close() async throws {
            try await peer.close()
            try await port.close()
        }
    }

    /// How much each read has brought.
    private final class Sizes: Sendable {
        private let sizes = Mutex<[Int]>([])

        func note(_ size: Int) { sizes.withLock { $0.append(size) } }

        @discardableResult
        func take() -> [Int] {
            sizes.withLock { sizes in
                defer { sizes = [] }
                return sizes
            }
        }
    }

    private final class SizeNoter: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let sizes: Sizes

        init(_ sizes: Sizes) { self.sizes = sizes }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            sizes.note(unwrapInboundIn(data).readableBytes)
            context.fireChannelRead(data)
        }
    }

    private final class Arrivals: CarrierReceiver {
        private let arrivals: AsyncStream<Void>.Continuation

        init(_ arrivals: AsyncStream<Void>.Continuation) { self.arrivals = arrivals }

        func carrier(received frame: InboundFrame) { arrivals.yield() }
        func carrierReadCompleted() {}
        func carrierBecameWritable() {}
        func carrier(violatedBy error: MuxError) {}
        func carrierLost(_ loss: CarrierLoss) { arrivals.finish() }
    }
}
