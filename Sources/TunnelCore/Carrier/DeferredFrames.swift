import Mux

/// Counted frames that came after the peer was told, on another carrier, how many have come: that one will bring them
/// again, and only if it fails are they taken.
package struct DeferredFrames {
    /// What may be parked, bytes: twice what the peer sends without an acknowledgement, unless it was told otherwise.
    package static let most = 8_388_608

    /// In the order in which they came.
    package private(set) var frames: [InboundFrame] = []
    /// What they take, bytes.
    package private(set) var storage = 0

    /// Whether they are more than may be parked.
    package var areTooMany: Bool { storage > Self.most }

    package mutating func append(_ frame: InboundFrame) {
        let frame = frame.dense
        frames.append(frame)
        storage += frame.storage + MuxLimits.frameCost
    }
}
