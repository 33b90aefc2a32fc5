import Mux
import NIOCore
import WebSocket

/// The carriers of a session, one after the other.
extension SessionLoop {
    // MARK: Loss

    func take(_ loss: CarrierLoss) {
        // While a successor is being made, a Close may only mean that it has been accepted.
        let isFarewell = loss.isClosedByPeer && deferred == nil
        let isLast = isFarewell || session.streamCount == 0 || session.grace == .zero
        if let peerReason, isLast {
            carrier = nil
            finish(.peer(peerReason), tell: peerReason, close: .goingAway)
        } else if loss.isProtocolViolation || session.grace == .zero {
            carrier = nil
            finish(.carrierLost(loss), tell: Refusal(.goingAway, ""), close: .goingAway)
        } else {
            lose(loss)
        }
    }

    /// The carrier is lost, or silent for too long: the session waits for another one.
    ///
    /// - Parameter isSilence: the peer has not answered a PING.
    func lose(_ loss: CarrierLoss, isSilence: Bool = false) {
        let now = Instant.now
        let times = carrier?.lastBytes ?? CarrierTimes()
        // An unanswered PING was sent when the path was dead already.
        let idle = isSilence ? times.went.since(times.came) : now.since(max(times.came, times.went))
        let lost = LostCarrier(
            reason: loss.description,
            age: now.since(carrierSince),
            idle: idle,
            retryAfter: peerReason?.retryAfter
        )
        carrier?.disown()
        carrier?.abort(loss.description)
        carrier = nil
        deferred = nil
        session.detach(now: now)
        probes.answer(false)
        reportLost(lost)
    }

    // MARK: The next carrier

    /// Client: the number of counted frames that have come, for a RESUME that is about to be sent. Frames that the present
    /// carrier brings from now on are deferred, since the new one will bring them again.
    package func deferFrames() -> UInt64 {
        if carrier != nil, deferred == nil { deferred = DeferredFrames() }
        return session.received
    }

    func deferFrame(_ frame: InboundFrame) {
        deferred?.append(frame)
        guard let deferred, deferred.areTooMany else { return }
        // Nothing is lost: the peer keeps these frames until they are acknowledged, and the next carrier brings them.
        lose(CarrierLoss(description: "it brought more than is kept while another one is made"))
    }

    func takeDeferred() {
        guard let frames = deferred?.frames else { return }
        deferred = nil
        for frame in frames { run(.frame(frame)) }
        run(.carrierReadCompleted)
    }

    func attach(_ new: any CarrierLink, peerReceived: UInt64, first: OutboundFrame?) {
        guard !session.isEnded else {
            // Without this the peer would keep using a session that has ended.
            let reason = Refusal(.goingAway, "the session is over")
            new.send(session.end(reason))
            return new.close(.goingAway, reason: reason.text)
        }
        if let old = carrier {
            old.disown()
            old.close(.goingAway, reason: "another carrier has taken over")
        }
        carrier = new
        carrierSince = .now
        deferred = nil
        new.admit(self)
        if let first { new.send(first) }
        do throws(MuxError) {
            try session.attach(peerReceived: peerReceived, now: .now)
        } catch {
            return violate(error)
        }
        sendFramesNow()
        armTimer()
    }
}
