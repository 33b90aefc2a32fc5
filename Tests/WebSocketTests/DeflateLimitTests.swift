import CZlib
import NIOCore
import Platform
import Testing

@testable import WebSocket

/// Deflate bombs and memory: D7 to D9, D17 and D19.
@Suite struct DeflateLimitTests {
    /// 16 MiB of zeros, compressed to about 16 KiB.
    private static func bomb() throws -> [UInt8] { try deflated([UInt8](repeating: 0, count: 16 << 20)) }

    @Test("D7 a bomb is stopped at the limit, not after it", arguments: [20_000, 65_535, 65_536, 65_537, 100_000])
    func bombStopsAtLimit(limit: Int) throws {
        let bytes = frame(0xC2, try Self.bomb(), to: .server)
        #expect(bytes.count < 20_000)
        let outcome = sameOutcome(
            bytes,
            .server,
            limits: WebSocketLimits(maximumMessageBytes: limit),
            deflate: agreement()
        )
        #expect(outcome.error == .messageTooLarge)
        #expect(received(outcome).count == limit)
    }

    @Test("D7 no memory is allocated beyond the limit", arguments: [64, 100, 1_000])
    func memoryLimit(limit: Int) throws {
        let small = try deflated([UInt8](repeating: 7, count: 20_000))
        #expect(small.count < 64)
        var connection = Connection(
            role: .client,
            limits: WebSocketLimits(maximumMessageBytes: limit),
            deflate: agreement()
        )
        connection.receive(buffer(frame(0xC2, small, to: .client)))
        var chunks: [ByteBuffer] = []
        var thrown: WebSocketError?
        do {
            while case .message(_, let bytes, _, _) = try connection.nextEvent() { chunks.append(bytes) }
        } catch {
            thrown = error
        }
        #expect(thrown == .messageTooLarge)
        #expect(chunks.map(\.readableBytes).reduce(0, +) == limit)
        // A buffer's size is the next power of two.
        #expect(chunks.allSatisfy { $0.storageCapacity <= 2 * (limit + 1) })
    }

    @Test("D7 inflating stops once the room is full, and leaves the rest of the input")
    func inflatesToTheLimit() throws {
        var input = buffer(try Self.bomb())
        let all = input.readableBytes
        var inflater = try unwrap(Inflater.make(noContextTakeover: true))
        var out = ByteBuffer()
        #expect(inflater.inflate(&input, endsMessage: true, into: &out, atMost: 1_001) == .full)
        #expect(out.readableBytes == 1_001)
        #expect(all - input.readableBytes < 100)
        #expect(out.capacity < 4_096)
    }

    @Test("D8 a bomb in fragments far below the limit is stopped at the limit too")
    func fragmentedBomb() throws {
        let bytes = ConformanceDeflateTests.refragmented(frame(0xC2, try Self.bomb(), to: .client), size: 100)
        let limits = WebSocketLimits(
            maximumFrameBytes: 200,
            maximumMessageBytes: 50_000,
            maximumFragments: .max
        )
        let outcome = sameOutcome(bytes, .client, limits: limits, deflate: agreement())
        #expect(outcome.error == .messageTooLarge)
        #expect(received(outcome).count == 50_000)
    }

    @Test("a compressed frame may exceed the limit by the overhead of data that does not compress, and no more")
    func wireLimit() throws {
        let noise = ConformanceDeflateTests.Corpus.noise.bytes(1_000)
        let small = try deflated(noise)
        #expect(small.count > noise.count)
        let limits = WebSocketLimits(maximumFrameBytes: 1_000, maximumMessageBytes: 1_000)
        let bytes = frame(0xC2, small, to: .server)
        #expect(sameOutcome(bytes, .server, limits: limits, deflate: agreement()) == Outcome(events: [binary(noise)]))
        #expect(feed([hex("c27e 0429")], .client, limits: limits, deflate: agreement()).error == .frameTooLarge)
    }

    // The connection has no clock, so the tunnel's session limits the rate of messages. Here no message may cost more
    // than those before it.
    @Test("D9 many tiny compressed messages cost the same each")
    func manyMessages() {
        func time(_ count: Int) -> Duration {
            let bytes = (0..<count).flatMap { _ in hex("c107f248cdc9c90700") }
            return ContinuousClock().measure {
                #expect(feed([bytes], .client, deflate: agreement(noContextTakeover: true)).events.count == count)
            }
        }
        _ = time(500)
        #expect(time(16_000) < time(2_000) * 32 + .milliseconds(200))
    }

    /// Counts zlib's allocations with its own hooks.
    private static func allocated(_ initialise: (UnsafeMutablePointer<z_stream>) -> Int32) -> Int {
        let total = UnsafeMutablePointer<Int>.allocate(capacity: 1)
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        total.initialize(to: 0)
        stream.initialize(to: z_stream())
        defer {
            total.deallocate()
            stream.deallocate()
        }
        stream.pointee.opaque = UnsafeMutableRawPointer(total)
        stream.pointee.zalloc = { total, items, size in
            let bytes = Int(items) * Int(size)
            total?.assumingMemoryBound(to: Int.self).pointee += bytes
            return UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 16)
        }
        stream.pointee.zfree = { _, block in block?.deallocate() }
        #expect(initialise(stream) == Z_OK)
        return total.pointee
    }

    @Test(
        "D17 a compressor takes the memory that DeflateOptions states",
        arguments: [(15, 8), (12, 5), (9, 1), (15, 9)]
    )
    func compressorMemory(row: (bits: Int, level: Int)) {
        let bytes = Self.allocated { stream in
            let status = culvert_deflate_init(stream, 6, Int32(row.bits), Int32(row.level))
            return deflateEnd(stream) == Z_OK || status != Z_OK ? status : Z_STREAM_ERROR
        }
        let documented = 1 << (row.bits + 2) + 1 << (row.level + 9)
        #expect(bytes >= documented && bytes <= documented + 8_192, "\(bytes)")
    }

    @Test("D17 an inflater takes the memory that DeflateOptions states")
    func inflaterMemory() {
        let bytes = Self.allocated { stream in
            let status = culvert_inflate_init(stream, 15)
            // zlib allocates the window with the first inflated bytes.
            var input = hex("f248cdc9c90700")
            var output = [UInt8](repeating: 0, count: 100)
            input.withUnsafeMutableBufferPointer { input in
                output.withUnsafeMutableBufferPointer { output in
                    (stream.pointee.next_in, stream.pointee.avail_in) = (input.baseAddress, 7)
                    (stream.pointee.next_out, stream.pointee.avail_out) = (output.baseAddress, 100)
                    #expect(inflate(stream, Z_SYNC_FLUSH) == Z_OK)
                }
            }
            return inflateEnd(stream) == Z_OK ? status : Z_STREAM_ERROR
        }
        #expect(bytes >= 32_768 && bytes <= 32_768 + 8_192, "\(bytes)")
    }

    #if os(Linux)
    @Test("D19 zlib's state is freed with the connection, also after errors")
    func freed() throws {
        let payload = ConformanceDeflateTests.Corpus.json.bytes(4_000)
        let good = frame(0xC2, try deflated(payload), to: .server)
        let bad = frame(0xC2, [0x07], to: .server)
        func round() throws {
            var connection = Connection(role: .server, deflate: agreement())
            var out = ByteBuffer()
            try connection.encodeMessage(.binary, payload: buffer(payload), into: &out)
            var outcome = Outcome()
            connection.receive(buffer(good + bad))
            connection.drain(into: &outcome)
            #expect(outcome.error == .invalidDeflate)
        }
        for _ in 0..<50 { try round() }
        let before = residentBytes()
        // Each connection holds 300 KiB. If all were leaked, they would take 300 MiB.
        for _ in 0..<1_000 { try round() }
        #expect(residentBytes() - before < 150 << 20)
    }

    /// The process's resident memory, including that of tests that run in parallel.
    private func residentBytes() -> Int {
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var text = [CChar](repeating: 0, count: 100)
        guard fgets(&text, 100, file) != nil else { return 0 }
        let fields = text.map { UInt8(bitPattern: $0) }.split(separator: UInt8(ascii: " "))
        return fields.count > 1 ? (Int(String(decoding: fields[1], as: UTF8.self)) ?? 0) * 4_096 : 0
    }
    #endif
}
