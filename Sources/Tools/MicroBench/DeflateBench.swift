import CZlib
import NIOCore
import WebSocket

/// Compares `Deflater`, `Inflater` and whole messages with direct calls of zlib on the same bytes with the same
/// parameters. A whole message includes a frame, which the direct calls do not have.
enum DeflateBench {
    struct Row {
        let what: String
        let size: Int
        let zlib: Cost
        /// `Deflater` or `Inflater` alone.
        let codec: Cost
        /// `Connection`, which also reads or writes a frame.
        let message: Cost
    }

    static func run() -> [Row] {
        [1_024, 16_384, 65_536].flatMap { size in
            [false, true].flatMap { [deflate(size, noContextTakeover: $0), inflate(size, noContextTakeover: $0)] }
        }
    }

    /// JSON with a repeated structure and different numbers, as services send it.
    private static func text(_ size: Int) -> ByteBuffer {
        var out = ByteBuffer()
        var number: UInt64 = 1
        while out.readableBytes < size {
            number = number &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            out.writeString("{\"id\":\(number >> 40),\"name\":\"visitor \(number >> 52)\",\"ok\":true},")
        }
        return out.getSlice(at: 0, length: size) ?? out
    }

    private static func agreement(noContextTakeover: Bool) -> DeflateAgreement {
        var options = DeflateOptions()
        options.serverNoContextTakeover = noContextTakeover
        options.clientNoContextTakeover = noContextTakeover
        let server = ServerUpgrade(path: "/", deflate: options)
        guard let client = try? ClientUpgrade(authority: "localhost", path: "/", deflate: options),
            let head = try? client.request(),
            case .accept(_, let agreement) = server.answer(head, hasLeftovers: false),
            let deflate = agreement.deflate
        else { preconditionFailure("two ends with the same parameters agree") }
        return deflate
    }

    /// Compresses the same message repeatedly. With a kept window zlib has little to do, and the cost around it
    /// dominates.
    private static func deflate(_ size: Int, noContextTakeover: Bool) -> Row {
        let text = text(size)
        let agreement = agreement(noContextTakeover: noContextTakeover)
        return row("deflate", size, noContextTakeover) {
            let raw = RawDeflate(noContextTakeover: noContextTakeover)
            let codec = Pinned(Compressor(noContextTakeover: noContextTakeover))
            let sender = Pinned(Sender(agreement))
            return [
                { raw.compress(text) }, { codec.pointer.pointee.compress(text) }, { sender.pointer.pointee.send(text) },
            ]
        }
    }

    /// Inflates the same message repeatedly. It refers to no earlier bytes.
    private static func inflate(_ size: Int, noContextTakeover: Bool) -> Row {
        let text = text(size)
        let agreement = agreement(noContextTakeover: noContextTakeover)
        let packed = RawDeflate(noContextTakeover: true).packed(text)
        var wire = ByteBuffer()
        var connection = Connection(role: .server, deflate: agreement)
        guard (try? connection.encodeMessage(.binary, payload: text, into: &wire)) != nil else {
            preconditionFailure("a fresh connection sends")
        }
        return row("inflate", size, noContextTakeover) { [wire] in
            let raw = RawInflate(packed, noContextTakeover: noContextTakeover)
            let codec = Pinned(Decompressor(packed, noContextTakeover: noContextTakeover))
            let receiver = Pinned(Receiver(agreement, wire))
            return [
                { raw.inflate() }, { codec.pointer.pointee.inflate() }, { receiver.pointer.pointee.receive() },
            ]
        }
    }

    private static func row(
        _ work: String,
        _ size: Int,
        _ noContextTakeover: Bool,
        _ copy: () -> [() -> Void]
    ) -> Row {
        let costs = Stopwatch.compare(copies: (0..<5).map { _ in copy() })
        return Row(
            what: noContextTakeover ? work + ", reset" : work,
            size: size,
            zlib: costs[0],
            codec: costs[1],
            message: costs[2]
        )
    }
}

/// A value at a fixed address, like the stream in the direct calls of zlib. A property of a class would add a check for
/// exclusive access to each call.
private final class Pinned<Value: ~Copyable> {
    let pointer = UnsafeMutablePointer<Value>.allocate(capacity: 1)

    init(_ value: consuming Value) {
        pointer.initialize(to: value)
    }

    deinit {
        pointer.deinitialize(count: 1)
        pointer.deallocate()
    }
}

/// Measures `Deflater` with one reused buffer.
private struct Compressor: ~Copyable {
    private var deflater: Deflater
    private var out = ByteBuffer()

    init(noContextTakeover: Bool) {
        guard
            let deflater = Deflater.make(
                windowBits: DeflateOptions.widestWindow,
                noContextTakeover: noContextTakeover,
                options: DeflateOptions()
            )
        else { preconditionFailure("zlib has memory") }
        self.deflater = deflater
    }

    mutating func compress(_ text: ByteBuffer) {
        out.clear()
        precondition(deflater.compress(ByteBuffer(), text, into: &out))
        consume(out)
    }
}

/// Measures `Inflater` with one reused buffer.
private struct Decompressor: ~Copyable {
    private var inflater: Inflater
    private let packed: ByteBuffer
    private var out = ByteBuffer()

    /// Removes the four bytes at the end of the message, as on the wire.
    init(_ packed: [UInt8], noContextTakeover: Bool) {
        guard let inflater = Inflater.make(noContextTakeover: noContextTakeover) else {
            preconditionFailure("zlib has memory")
        }
        self.inflater = inflater
        self.packed = ByteBuffer(bytes: packed.dropLast(4))
    }

    mutating func inflate() {
        out.clear()
        var input = packed
        precondition(inflater.inflate(&input, endsMessage: true, into: &out, atMost: 200_000) == .drained)
        consume(out)
    }
}

private struct Sender: ~Copyable {
    private var connection: Connection
    private var out = ByteBuffer()

    init(_ deflate: DeflateAgreement) {
        connection = Connection(role: .server, deflate: deflate)
    }

    mutating func send(_ text: ByteBuffer) {
        out.clear()
        let sent: Void? = try? connection.encodeMessage(.binary, payload: text, into: &out)
        precondition(sent != nil)
        consume(out)
    }
}

private struct Receiver: ~Copyable {
    private var connection: Connection
    private let wire: ByteBuffer

    init(_ deflate: DeflateAgreement, _ wire: ByteBuffer) {
        connection = Connection(role: .client, limits: .unlimited, deflate: deflate)
        self.wire = wire
    }

    mutating func receive() {
        connection.receive(wire)
        while let event = try? connection.nextEvent() {
            if case .message(_, let bytes, isFirst: _, isLast: _) = event { consume(bytes) }
        }
    }
}

/// Calls zlib like a C program: one stream, one output buffer, one flush for each message.
private final class RawDeflate {
    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    private let noContextTakeover: Bool
    private var out = [UInt8](repeating: 0, count: 200_000)

    init(noContextTakeover: Bool) {
        self.noContextTakeover = noContextTakeover
        stream.initialize(to: z_stream())
        precondition(culvert_deflate_init(stream, 6, 15, 8) == Z_OK)
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
    }

    func compress(_ text: ByteBuffer) {
        text.withUnsafeReadableBytes { bytes in
            out.withUnsafeMutableBufferPointer { out in
                stream.pointee.next_in = UnsafeMutablePointer(mutating: bytes.bindMemory(to: UInt8.self).baseAddress)
                stream.pointee.avail_in = UInt32(bytes.count)
                stream.pointee.next_out = out.baseAddress
                stream.pointee.avail_out = UInt32(out.count)
                precondition(deflate(stream, Z_SYNC_FLUSH) == Z_OK)
            }
        }
        if noContextTakeover { deflateReset(stream) }
    }

    /// The compressed message, with the four bytes at its end.
    func packed(_ text: ByteBuffer) -> [UInt8] {
        compress(text)
        return Array(out.prefix(out.count - Int(stream.pointee.avail_out)))
    }
}

/// Calls zlib like a C program, once for each message, which includes the four bytes at its end.
private final class RawInflate {
    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    private let noContextTakeover: Bool
    private var packed: [UInt8]
    private var out = [UInt8](repeating: 0, count: 200_000)

    init(_ packed: [UInt8], noContextTakeover: Bool) {
        self.packed = packed
        self.noContextTakeover = noContextTakeover
        stream.initialize(to: z_stream())
        precondition(culvert_inflate_init(stream, 15) == Z_OK)
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    func inflate() {
        packed.withUnsafeMutableBufferPointer { packed in
            out.withUnsafeMutableBufferPointer { out in
                stream.pointee.next_in = packed.baseAddress
                stream.pointee.avail_in = UInt32(packed.count)
                stream.pointee.next_out = out.baseAddress
                stream.pointee.avail_out = UInt32(out.count)
                precondition(CZlib.inflate(stream, Z_SYNC_FLUSH) == Z_OK)
            }
        }
        if noContextTakeover { inflateReset(stream) }
    }
}
