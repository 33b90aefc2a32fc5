import NIOCore
import Testing

@testable import Mux

/// One direction of a carrier in memory: messages go in, and chunks of them come out, split at random places.
struct ModelLink {
    private var messages = CircularBuffer<ByteBuffer>()
    private var assembler = FrameAssembler()
    private var isCut = false
    /// Frames in flight.
    var count: Int { messages.count }

    init() { assembler.isAdmitted = true }

    /// Cuts the carrier in the middle of its next frame.
    ///
    /// - Returns: whether a frame came out of the part that arrived.
    mutating func truncate(_ random: inout SplitMix) -> Bool {
        guard var message = messages.first else { return false }
        messages.removeAll()
        isCut = true
        let part = message.readSlice(length: Int.random(in: 0..<message.readableBytes, using: &random)) ?? ByteBuffer()
        return (try? assembler.receive(part, isLast: false)) ?? nil != nil
    }

    mutating func send(_ frame: OutboundFrame) {
        guard !isCut else { return }
        var message = ByteBuffer()
        frame.writeHead(into: &message)
        message.writeImmutableBuffer(frame.payload)
        messages.append(message)
    }

    /// Takes the next frame, assembled from chunks of random length.
    mutating func receive(_ random: inout SplitMix) throws(MuxError) -> InboundFrame? {
        guard var message = messages.popFirst() else { return nil }
        let limit = [1, 9, 1_000, 100_000][Int.random(in: 0..<4, using: &random)]
        let longest = message.readableBytes > 2_000 ? max(limit, 500) : limit
        while true {
            let length = min(message.readableBytes, Int.random(in: 0...longest, using: &random))
            let chunk = message.readSlice(length: length) ?? ByteBuffer()
            let isLast = message.readableBytes == 0
            if let frame = try assembler.receive(chunk, isLast: isLast) { return frame }
        }
    }
}

/// The required behaviour of a stream: for each end, the bytes that it wrote and received, and the actions that it saw.
struct ModelStream {
    struct End {
        /// Number of bytes written at this end; ``byte(_:from:)`` gives their values.
        var written = 0
        /// Number of bytes delivered at this end.
        var delivered = 0
        var consumed = 0
        /// Number of bytes handed to the carrier, and the offset that the peer's credit permits.
        var sent = 0
        var granted = Model.window
        var hasFinished = false
        var sawEnd = false
        /// Whether the stream was reset or closed, by either end. No action may follow.
        var isGone = false
        var wasClosed = false
        var hasReset = false
        var sawReset = false
        /// Whether this end's reset must not overtake its bytes, because at most a window of them lacked credit.
        var resetFollows = false
        /// Whether the other end has reset the stream while the socket still accepts earlier bytes.
        var isDraining = false
        var mayWrite = true
        var isKnown = false
    }

    let id: StreamID
    /// Whether it carries datagrams: numbers of eight bytes, each higher than the one before.
    var isFlow = false
    var server = End()
    var client = End()
    var isAccepted = false

    subscript(role: Role) -> End {
        get { role == .server ? server : client }
        set { if role == .server { server = newValue } else { client = newValue } }
    }

    /// The byte at an offset of what `role` writes.
    func byte(_ offset: Int, from role: Role) -> UInt8 {
        let mixed = UInt32(truncatingIfNeeded: offset) &* 2_654_435_761 ^ id.rawValue &* 40_503
        return UInt8(truncatingIfNeeded: mixed >> 11) ^ (role == .server ? 0 : 0xFF)
    }
}
