import CZlib
import NIOCore
import WebSocket

/// Compressing and inflating messages, ours beside zlib called by hand on the same bytes.
enum DeflateBench {
    struct Row {
        let what: String
        let size: Int
        let ours: Cost
        let zlib: Cost
    }

    static func run() -> [Row] {
        [1_024, 16_384, 65_536].flatMap { size in [compress(size), inflate(size)] }
    }

    /// Text as services send it: JSON that repeats itself with other numbers.
    private static func text(_ size: Int) -> ByteBuffer {
        var out = ByteBuffer()
        var number: UInt64 = 1
        while out.readableBytes < size {
            number = number &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            out.writeString("{\"id\":\(number >> 40),\"name\":\"visitor \(number >> 52)\",\"ok\":true},")
        }
        return out.getSlice(at: 0, length: size) ?? out
    }

    private static var agreement: DeflateAgreement? {
        let request = ServerUpgrade(path: "/", deflate: DeflateOptions())
        guard let client = try? ClientUpgrade(authority: "localhost", path: "/", deflate: DeflateOptions()),
            let head = try? client.request(), case .accept(_, let agreement) = request.answer(head, hasLeftovers: false)
        else { return nil }
        return agreement.deflate
    }

    private static func compress(_ size: Int) -> Row {
        let text = text(size)
        let ours = Sender(agreement)
        let raw = RawDeflate()
        let costs = Stopwatch.compare([{ ours.send(text) }, { raw.compress(text) }])
        return Row(what: "deflate", size: size, ours: costs[0], zlib: costs[1])
    }

    private static func inflate(_ size: Int) -> Row {
        let text = text(size)
        var wire = ByteBuffer()
        var sender = Connection(role: .server, deflate: agreement)
        guard (try? sender.encodeMessage(.binary, payload: text, into: &wire)) != nil else {
            preconditionFailure("a fresh connection sends")
        }
        let ours = Receiver(agreement, wire)
        let raw = RawInflate(text)
        let costs = Stopwatch.compare([{ ours.receive() }, { raw.inflate() }])
        return Row(what: "inflate", size: size, ours: costs[0], zlib: costs[1])
    }
}

private final class Sender {
    private var connection: Connection
    private var out = ByteBuffer()

    init(_ deflate: DeflateAgreement?) {
        connection = Connection(role: .server, deflate: deflate)
    }

    func send(_ text: ByteBuffer) {
        out.clear()
        guard (try? connection.encodeMessage(.binary, payload: text, into: &out)) != nil else { return }
        consume(out)
    }
}

/// Receives the same message again and again: its bytes refer to nothing before it.
private final class Receiver {
    private var connection: Connection
    private let wire: ByteBuffer

    init(_ deflate: DeflateAgreement?, _ wire: ByteBuffer) {
        connection = Connection(role: .client, limits: .unlimited, deflate: deflate)
        self.wire = wire
    }

    func receive() {
        connection.receive(wire)
        while let event = try? connection.nextEvent() {
            if case .message(_, let bytes, isFirst: _, isLast: _) = event { consume(bytes) }
        }
    }
}

/// zlib as a C program would call it: one stream, one output buffer, a flush a message.
private final class RawDeflate {
    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    private var out = [UInt8](repeating: 0, count: 200_000)

    init() {
        stream.initialize(to: z_stream())
        precondition(culvert_deflate_init(stream, 6, 15, 8) == Z_OK)
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
    }
}

private final class RawInflate {
    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    private var packed: [UInt8]
    private var out = [UInt8](repeating: 0, count: 200_000)

    init(_ text: ByteBuffer) {
        let deflater = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        deflater.initialize(to: z_stream())
        precondition(culvert_deflate_init(deflater, 6, 15, 8) == Z_OK)
        var input = Array(text.readableBytesView)
        packed = [UInt8](repeating: 0, count: 200_000)
        let count = input.withUnsafeMutableBufferPointer { input in
            packed.withUnsafeMutableBufferPointer { out in
                deflater.pointee.next_in = input.baseAddress
                deflater.pointee.avail_in = UInt32(input.count)
                deflater.pointee.next_out = out.baseAddress
                deflater.pointee.avail_out = UInt32(out.count)
                precondition(deflate(deflater, Z_SYNC_FLUSH) == Z_OK)
                return out.count - Int(deflater.pointee.avail_out)
            }
        }
        packed.removeLast(packed.count - count)
        deflateEnd(deflater)
        deflater.deallocate()
        stream.initialize(to: z_stream())
        precondition(culvert_inflate_init(stream, 15) == Z_OK)
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
    }
}
