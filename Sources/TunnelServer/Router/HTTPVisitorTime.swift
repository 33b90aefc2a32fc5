import HTTP1
import HTTPRelay
import NIOCore
import TunnelCore

/// What a visitor's connection must have done by when.
extension HTTPVisitor {
    /// Sets the time by which the visitor must have done the next thing.
    func limit(_ time: Duration?) {
        guard let time else {
            deadline = nil
            return
        }
        let due = NIODeadline.now() + TimeAmount(time)
        deadline = due
        if timer == nil || due < wakesAt { wake(at: due) }
    }

    private func wake(at due: NIODeadline) {
        timer?.cancel()
        wakesAt = due
        timer = channel.eventLoop.assumeIsolated().scheduleTask(deadline: due) { [weak self] in
            guard let self else { return }
            self.timer = nil
            guard let deadline = self.deadline else { return }
            guard NIODeadline.now() >= deadline else { return self.wake(at: deadline) }
            self.deadline = nil
            self.timeOut()
        }
    }

    private func timeOut() {
        switch phase {
        case .request where isFirst || isInHead:
            isPersistent = false
            begin(refused: HTTP1Error(.timeout))
        case .request, .lookingUp, .closing:
            // A slow visitor may still be taking the answer.
            let left = unwritten
            guard left == 0 || left >= unwrittenBefore else {
                unwrittenBefore = left
                return limit(Duration(Self.lingering))
            }
            channel.close(promise: nil)
        case .exchange(let exchange) where !exchange.isRequestComplete && exchange.hasRoom:
            giveUp(exchange, .requestTimeout, reason: "the request's body took too long")
        case .exchange(let exchange) where hasEnded && exchange.isRequestComplete:
            // It may have gone: only a write would show that.
            guard exchange.hasAnswer, untaken == 0 else { return limit(Self.halfClosed) }
            phase = .closing
            exchange.cancel()
            finishRecord(status: 499)
            channel.close(promise: nil)
        // The service does not take content. The visitor's time begins anew.
        case .exchange(let exchange) where !exchange.isRequestComplete: limit(router.limits.visitorIdle)
        case .exchange, .switched: break
        }
    }

    /// Answers a request that cannot be relayed to its end, unless the service has begun to answer it.
    func giveUp(_ exchange: Exchange, _ page: StatusPage, reason: String) {
        let hasAnswer = exchange.hasAnswer
        exchange.cancel()
        guard !hasAnswer else { return exchangeBreaks(exchange) }
        isPersistent = false
        answer(page, reason: reason)
    }

    /// Resets a visitor that takes nothing of its answer for ``ServerLimits/visitorIdle``: it would hold a stream, and what
    /// waits for it. One that takes a little goes on.
    func watchOutput() {
        guard outputTimer == nil else { return }
        let before = written - unwritten
        let time = TimeAmount(router.limits.visitorIdle)
        outputTimer = channel.eventLoop.assumeIsolated().scheduleTask(in: time) { [weak self] in
            guard let self else { return }
            self.outputTimer = nil
            guard case .exchange(let exchange) = self.phase, !self.channel.isWritable else { return }
            guard self.written - self.unwritten <= before else { return self.watchOutput() }
            exchange.cancel()
            self.exchangeBreaks(exchange)
        }
    }
}
