import Mux
import NIOCore

/// The carrier of one lane, with its state in the session.
final class LaneCarrier: CarrierReceiver {
    let lane: LaneID
    let link: any CarrierLink
    /// When the lane got the carrier.
    let since = Instant.now
    /// Frames that wait because the carrier is about to be replaced.
    var deferred: DeferredFrames?
    /// How the carrier was closed while a successor was dialled, which the server may have accepted; nil if it was not.
    var loss: CarrierLoss?
    /// Notices retransmissions of the carrier.
    var lossWatch = LossWatch()
    private let session: SessionLoop

    init(_ lane: LaneID, _ link: any CarrierLink, of session: SessionLoop) {
        self.lane = lane
        self.link = link
        self.session = session
    }

    func carrier(received frame: InboundFrame) {
        session.run(.frame(frame, lane))
    }

    func carrierReadCompleted() {
        session.run(.carrierReadCompleted)
    }

    func carrierBecameWritable() {
        session.run(.carrierWritable)
    }

    func carrier(violatedBy error: MuxError) {
        session.run(.violation(error))
    }

    func carrierLost(_ loss: CarrierLoss) {
        session.run(.carrierLost(loss, lane))
    }
}
