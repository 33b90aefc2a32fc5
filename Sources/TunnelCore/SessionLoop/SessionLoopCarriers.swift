import Mux
import NIOCore
import WebSocket

/// The carriers of a session's lanes.
extension SessionLoop {
    func carrier(of lane: LaneID) -> LaneCarrier? { carriers.first { $0.lane == lane } }

    // MARK: Loss

    func take(_ loss: CarrierLoss, of lane: LaneID) {
        guard let lost = carrier(of: lane) else { return }
        // While a successor is being made, a Close may only mean that it has been accepted.
        let isAlone = carriers.count == 1
        let isFarewell = loss.isClosedByPeer && lost.deferred == nil && isAlone
        if loss.isClosedByPeer, lost.deferred != nil, !isAlone { return lost.loss = loss }
        let isLast = isFarewell || isAlone && (session.streamCount == 0 || session.grace == .zero)
        if let peerReason, isLast {
            remove(lost)
            finish(.peer(peerReason), tell: peerReason, close: .goingAway)
        } else if loss.isProtocolViolation || isAlone && session.grace == .zero {
            remove(lost)
            finish(.carrierLost(loss), tell: Refusal(.goingAway, ""), close: .goingAway)
        } else {
            lose(loss, of: lane)
        }
    }

    /// Records that a carrier has ended because the path has altered what it brought, and warns if there are too many.
    package func noteAlteration() {
        if alterations.record(now: .now) { AlterationWatch.warn(logger) }
    }

    /// Abandons a carrier that is lost, or silent for too long. The other lanes take over. Without any, the session waits
    /// for another carrier, or ends if it has no grace.
    ///
    /// - Parameter isSilence: the peer has not answered a PING.
    func lose(_ loss: CarrierLoss, of lane: LaneID, isSilence: Bool = false) {
        guard let carrier = carrier(of: lane) else { return }
        let now = Instant.now
        if loss.isAltered { noteAlteration() }
        let times = carrier.link.lastBytes
        // An unanswered PING was sent when the path was dead already.
        let idle = isSilence ? times.went.since(times.came) : now.since(max(times.came, times.went))
        let lost = LostCarrier(
            reason: loss.description,
            age: now.since(carrier.since),
            idle: idle,
            retryAfter: peerReason?.retryAfter,
            isClosedByPeer: loss.isClosedByPeer
        )
        carrier.link.disown()
        carrier.link.abort(loss.description)
        remove(carrier)
        if carriers.isEmpty, session.grace == .zero {
            return finish(.carrierLost(loss), tell: Refusal(.goingAway, ""), close: .goingAway)
        }
        session.detach(lane, now: now)
        if carriers.isEmpty {
            probes.answer(false)
            reportLost(lost)
        } else {
            owner?.common.session(self, lost: lost, of: lane)
            sendFramesNow()
        }
    }

    private func remove(_ carrier: LaneCarrier) {
        carriers.removeAll { $0 === carrier }
        noteDeferring()
    }

    /// Closes the carrier of a lane that is gone.
    func closeCarrier(of lane: LaneID) {
        guard let carrier = carrier(of: lane) else { return }
        carrier.link.disown()
        carrier.link.close(.goingAway, reason: "other carriers have taken over")
        remove(carrier)
        owner?.common.session(self, left: lane)
    }

    // MARK: The next carrier

    /// Client: returns the number of counted frames of a lane that have come, for a RESUME that is about to be sent. Frames
    /// that the lane's present carrier brings from now on are deferred, since the new one brings them again.
    package func deferFrames(of lane: LaneID) -> UInt64 {
        if let carrier = carrier(of: lane), carrier.deferred == nil {
            carrier.deferred = DeferredFrames()
            noteDeferring()
        }
        return session.received(on: lane)
    }

    private func noteDeferring() {
        isDeferring = carriers.contains { $0.deferred != nil }
    }

    func deferFrame(_ frame: InboundFrame, of carrier: LaneCarrier) {
        carrier.deferred?.append(frame)
        guard carrier.deferred?.areTooMany ?? false else { return }
        // Nothing is lost: the peer keeps these frames until they are acknowledged, and the next carrier brings them.
        let loss = CarrierLoss(description: "it brought more than is kept while another one is made")
        lose(loss, of: carrier.lane)
    }

    func takeDeferred(of lane: LaneID) {
        guard let carrier = carrier(of: lane), let frames = carrier.deferred?.frames else { return }
        carrier.deferred = nil
        noteDeferring()
        for frame in frames { run(.frame(frame, lane)) }
        run(.carrierReadCompleted)
        if let loss = carrier.loss { run(.carrierLost(loss, lane)) }
    }

    func attach(
        _ new: any CarrierLink,
        to lane: LaneID,
        epoch: UInt64,
        peerReceived: UInt64,
        first: CarrierOpening?
    ) {
        guard !session.isEnded else {
            // Without this the peer would keep using a session that has ended.
            let reason = Refusal(.goingAway, "the session is over")
            new.send(session.end(reason))
            return new.close(.goingAway, reason: reason.text)
        }
        if let old = carrier(of: lane) {
            old.link.disown()
            old.link.close(.goingAway, reason: "another carrier has taken over")
            remove(old)
        }
        let carrier = LaneCarrier(lane, new, of: self)
        carriers.insert(carrier, at: carriers.firstIndex { $0.lane > lane } ?? carriers.endIndex)
        new.admit(carrier)
        if let first { new.open(first) }
        do throws(MuxError) {
            let isInUse = try session.attach(lane, epoch: epoch, peerReceived: peerReceived, now: .now)
            // The lane was left meanwhile, and others have its frames.
            guard isInUse else { return closeCarrier(of: lane) }
        } catch {
            return violate(error)
        }
        sendFramesNow()
        armTimer()
    }
}
