import Logging
import Mux
import NIOCore
import WebSocket

/// What each input does to the session.
extension SessionLoop {
    func take(_ input: SessionInput) {
        switch input {
        case .frame(let frame): take(frame)
        case .carrierReadCompleted: takeReadCompleted()
        case .carrierWritable: sendsNow = true
        case .violation(let error): violate(error)
        case .carrierLost(let loss): take(loss)
        case .bytes(let id, let bytes, let isReading): take(bytes, of: id, isReading: isReading)
        case .readCompleted: sendsNow = sendsNow || flushPolicy.hasBytes && !isIterationEndScheduled
        case .finished(let id):
            busyPoll?.noteInteractive()
            session.finish(id)
            sendAtEndOfIteration()
        case .reset(let id, let code):
            streams[id] = nil
            session.reset(id, code, now: .now)
            sendAtEndOfIteration()
        case .taken(let id, let count):
            if session.consumed(id, count, now: .now) { sendAtEndOfIteration() } else { settleAccount() }
        case .accept(let id):
            session.accept(id, now: .now)
            // Otherwise ACCEPT goes with the service's first bytes, or with the ACK that is due within 20 ms.
            if !session.isAcknowledgementScheduled { sendAtEndOfIteration() }
        case .bind(let request): update { $0.bind(request) }
        case .bound(let binding): update { $0.bound(binding) }
        case .unbound(let tunnel, let refusal): update { $0.unbound(tunnel, refusal) }
        case .drain(let reason): update { $0.drain(reason) }
        case .askForRenewal(let seconds): update { $0.askForRenewal(within: seconds) }
        case .probe(let timeout): update { $0.probe(now: .now, timeout: timeout) }
        case .pingInterval(let interval): update { $0.setPingInterval(interval, now: .now) }
        case .end(let reason):
            let code: CloseCode = reason.code == .protocolViolation ? .protocolError : .goingAway
            finish(.local(reason), tell: reason, close: code)
        case .forget: finish(.forgotten, tell: Refusal(.goingAway, ""), close: .goingAway)
        case .attach(let carrier, let received, let first): attach(carrier, peerReceived: received, first: first)
        case .takeDeferred: takeDeferred()
        case .iterationEnded:
            isIterationEndScheduled = false
            flushPolicy.iterationEnded()
            sendsNow = true
        case .timer: takeTimer()
        case .shed(let bytes): shed(bytes)
        }
    }

    private func update(_ change: (inout Session) -> Void) {
        change(&session)
        sendAtEndOfIteration()
        armTimer()
    }

    func take(_ frame: InboundFrame) {
        guard deferred == nil || !frame.header.type.isCounted else { return deferFrame(frame) }
        if let busyPoll, BusyPollPolicy.isInteractive(frame.header.type, frame.payloadLength) {
            busyPoll.noteInteractive()
        }
        do throws(MuxError) {
            try session.receive(frame, now: .now)
        } catch {
            violate(error)
        }
    }

    private func takeReadCompleted() {
        flushPolicy.carrierReadCompleted()
        // Several sockets: what has come is acknowledged before they take it, so that the peer goes on sending meanwhile.
        // For one socket ACK and CREDIT leave in one write, which wakes the peer once.
        if streams.unflushedCount > 1, session.isAcknowledgementDue { sendFrames() }
        flushSockets()
        sendsNow = true
    }

    /// A socket has brought bytes. The carrier is flushed at once if they are interactive and bulk data would go before
    /// them, or if many chunks have come; at the end of the channel's read if the session has one stream; otherwise at the
    /// end of the iteration.
    private func take(_ bytes: ByteBuffer, of id: StreamID, isReading: Bool) {
        let isInteractive = bytes.readableBytes <= BusyPollPolicy.interactiveBytes
        if isInteractive { busyPoll?.noteInteractive() }
        session.write(id, bytes)
        if flushPolicy.bytesCame(isInteractive: isInteractive, besideBulk: session.isCarryingBulk) {
            sendsNow = true
            sendAtEndOfIteration()
        } else if !isReading || streams.count > 1 {
            sendAtEndOfIteration()
        }
    }

    private func takeTimer() {
        do throws(MuxError) {
            try session.tick(now: .now)
            sendsNow = true
        } catch {
            switch error.kind {
            case .silence: lose(CarrierLoss(description: error.detail), isSilence: true)
            case .abandoned: finish(.abandoned(error), tell: Refusal(.goingAway, ""), close: .goingAway)
            default: violate(error)
            }
        }
    }

    /// The process has used up its memory, and this session holds the most of it.
    private func shed(_ bytes: Int) {
        guard !session.isEnded else { return }
        let before = session.streamCount
        session.shed(bytes)
        settleAccount()
        sendAtEndOfIteration()
        logger.warning(
            "out of memory for sessions; the streams that held the most of it were reset",
            metadata: ["streams": "\(before - session.streamCount)"]
        )
    }
}
