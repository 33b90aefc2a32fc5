import Mux

/// Counted frames that came after the peer was told, on another carrier, how many have come: that one will bring them
/// again, and only if it fails are they taken.
struct ParkedFrames {
    /// What may be parked, bytes: twice what the peer sends without an acknowledgement, unless it was told otherwise.
    static let most = 8_388_608

    /// In the order in which they came.
    private(set) var frames: [InboundFrame] = []
    private var bytes = 0

    /// Whether they are more than may be parked.
    var areTooMany: Bool { bytes > Self.most }

    mutating func append(_ frame: InboundFrame) {
        frames.append(frame)
        bytes += frame.payloadLength + MuxLimits.headerLength
    }
}
