import NIOCore
import Testing

@testable import Mux

/// One direction of a carrier in memory: messages go in, pieces of them come out, cut at random places.
struct ModelLink {
    private var messages = CircularBuffer<ByteBuffer>()
    private var assembler = FrameAssembler()
    private var isCut = false
    /// Frames in flight.
    var count: Int { messages.count }

    init() { assembler.isAdmitted = true }

    /// The carrier is cut in the middle of its next frame.
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
        frame.header.write(into: &message)
        message.writeImmutableBuffer(frame.payload)
        messages.append(message)
    }

    /// The next frame, assembled from pieces.
    mutating func receive(_ random: inout SplitMix) throws(MuxError) -> InboundFrame? {
        guard var message = messages.popFirst() else { return nil }
        let most = [1, 9, 1_000, 100_000][Int.random(in: 0..<4, using: &random)]
        let longest = message.readableBytes > 2_000 ? max(most, 500) : most
        while true {
            let length = min(message.readableBytes, Int.random(in: 0...longest, using: &random))
            let piece = message.readSlice(length: length) ?? ByteBuffer()
            let isLast = message.readableBytes == 0
            if let frame = try assembler.receive(piece, isLast: isLast) { return frame }
        }
    }
}

/// The required behaviour of a stream, without the session's machinery: for one direction, the bytes that went in and came
/// out, and for each end, the actions it received.
struct ModelStream {
    struct End {
        /// Bytes that were written here, as a count: byte `n` is `n` mixed with the stream's number.
        var written = 0
        /// Bytes that were delivered here.
        var delivered = 0
        var consumed = 0
        /// Bytes that were handed to the carrier, and the offset up to which the peer's credit has come.
        var sent = 0
        var granted = Model.window
        var hasFinished = false
        var sawEnd = false
        /// Reset or closed, by itself or by the other end: nothing may come after it.
        var isGone = false
        var wasClosed = false
        var hasReset = false
        var sawReset = false
        /// Whether its reset must not overtake its bytes, because they had credit or few lacked it.
        var resetFollows = false
        /// Whether the other end has reset the stream while the socket still accepts earlier bytes.
        var isDraining = false
        var mayWrite = true
        var isKnown = false
    }

    let id: StreamID
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
