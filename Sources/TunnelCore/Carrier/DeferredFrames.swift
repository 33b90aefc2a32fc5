import Mux

/// Counted frames of a carrier that is about to be replaced. The client has told the server on the new carrier how many have
/// come before, so that one will bring these again. Only if it fails are they taken.
package struct DeferredFrames {
    /// Bytes that may be deferred: twice the peer's replay buffer at its default.
    package static let most = 8_388_608

    /// In the order in which they came.
    package private(set) var frames: [InboundFrame] = []
    /// What they take, bytes.
    package private(set) var storage = 0

    /// Whether they are more than may be deferred.
    package var areTooMany: Bool { storage > Self.most }

    package mutating func append(_ frame: InboundFrame) {
        let frame = frame.dense
        frames.append(frame)
        storage += frame.storage + MuxLimits.frameCost
    }
}
