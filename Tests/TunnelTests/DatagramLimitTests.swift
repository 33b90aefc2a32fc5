import Mux
import NIOCore
import NIOPosix
import NetworkAddress
import Testing

@testable import TunnelCore

@Suite("The limits of datagrams below a session")
struct DatagramLimitTests {
    private func time(_ milliseconds: UInt64) -> Instant { Instant(nanoseconds: (1_000 + milliseconds) * 1_000_000) }

    private func bytes(_ count: Int) -> ByteBuffer { ByteBuffer(repeating: 7, count: count) }

    @Test("Datagrams that wait for a socket are bounded by number and bytes, and the oldest are dropped")
    func waiting() {
        var waiting = WaitingDatagrams()
        var dropped = 0
        for _ in 0..<WaitingDatagrams.maximum { dropped += waiting.append(bytes(1), now: time(0)) }
        #expect(dropped == 0)
        dropped = waiting.append(bytes(2), now: time(0))
        #expect(dropped == 1)
        dropped = waiting.append(bytes(WaitingDatagrams.maximumBytes - 2), now: time(0))
        #expect(dropped == 15)
        let young = waiting.takeYoung(now: time(0))
        #expect(young.datagrams.map(\.readableBytes) == [2, WaitingDatagrams.maximumBytes - 2] && young.dropped == 0)
    }

    @Test("Datagrams that have waited for more than 250 ms are dropped")
    func ages() {
        var waiting = WaitingDatagrams()
        for number in 0..<4 { _ = waiting.append(bytes(number), now: time(UInt64(number) * 100)) }
        let (datagrams, dropped) = waiting.takeYoung(now: time(350))
        #expect(datagrams.map(\.readableBytes) == [1, 2, 3] && dropped == 1)
        let later = waiting.takeYoung(now: time(350))
        #expect(later.datagrams.isEmpty)
    }

    @Test("A datagram that one rate refuses costs nothing of another rate")
    func severalRates() {
        let (wide, narrow) = (
            RateLimit(bytesPerSecond: 1_000_000_000, now: .now), RateLimit(bytesPerSecond: 1, now: .now)
        )
        let both = StreamPolicy(rateLimits: [wide, narrow])
        var admitted = 0
        for _ in 0..<1_000_000 where both.admitsRead(60_000) { admitted += 1 }
        #expect(admitted < 5)
        #expect(StreamPolicy(rateLimits: [wide]).admitsRead(1), "its bucket is not empty")
    }

    @Test("A stream that overdraws a rate and rests leaves room for datagrams")
    func besideStream() {
        let policy = StreamPolicy(rateLimits: [RateLimit(bytesPerSecond: 100_000, now: .now)])
        while policy.rest(afterReading: 1_000) == nil {}
        #expect(policy.admitsRead(1_200))
    }

    @Test("The rate of an address is kept although thousands of others come, which share one rate at most")
    func manyAddresses() {
        var rates = AddressRates(remembered: 10)
        let now = time(0)
        let known = IPAddress.v4(0xCB00_7101)
        let isFirst = rates.admits(known, perSecond: 2, now: now)
        #expect(isFirst)
        var admitted = 0
        for number in UInt32(0)..<10_000 where rates.admits(.v4(0x0A00_0000 + number), perSecond: 2, now: now) {
            admitted += 1
        }
        #expect(admitted == 9 + 2)
        let later = (0..<2).map { _ in rates.admits(known, perSecond: 2, now: now) }
        #expect(later == [true, false])
    }

    @Test("After a refusal the next flow of a destination uses its next address")
    func rotation() throws {
        var rotation = FlowRotation()
        let addresses: [IPAddress] = [.v4(1), .v4(2), .v4(3)]
        #expect(rotation.order(addresses, of: "a") == addresses)
        rotation.refused("a")
        #expect(rotation.order(addresses, of: "a") == [.v4(2), .v4(3), .v4(1)])
        #expect(rotation.order(addresses, of: "b") == addresses && rotation.order([], of: "a").isEmpty)
        for number in 0..<FlowRotation.maximum { rotation.refused("\(number)") }
        #expect(rotation.order(addresses, of: "a") == addresses, "it is forgotten")
    }

    @Test("S10 A reply that the system does not send leaves the port's socket open")
    func failedSend() async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        let channel = try await PortSocket.bind("127.0.0.1", 0, isForAll: false, joins: false, on: loop) {
            ChannelHandlerAdapter()
        }.get()
        let isOpen = try await loop.submit {
            let socket = try PortSocket(channel, TrafficTotals().metrics.droppedDatagrams)
            socket.send(ByteBuffer(string: "x"), to: try SocketAddress(ipAddress: "127.0.0.1", port: 0))
            socket.send(ByteBuffer(repeating: 1, count: 70_000), to: try SocketAddress(ipAddress: "127.0.0.1", port: 9))
            socket.flush()
            return socket.channel.isActive
        }.get()
        #expect(isOpen)
        try await channel.close()
    }
}

/// Ignores what comes.
private final class ChannelHandlerAdapter: ChannelInboundHandler, Sendable {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
}
