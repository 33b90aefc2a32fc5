import Mux
import WebSocket

/// How a session ends, and how it loses its carrier.
extension SessionLoop {
    func end(_ reason: Refusal) {
        let code: CloseCode = reason.code == .protocolViolation ? .protocolError : .goingAway
        finish(.local(reason), tell: reason, close: code)
    }

    func violate(_ error: MuxError) {
        let code: CloseCode = error.code == .protocolViolation ? .protocolError : .policyViolation
        finish(.violation(error), tell: Refusal(error.code, error.detail), close: code)
    }

    func finish(_ end: SessionEnd, tell reason: Refusal, close code: CloseCode) {
        guard let owner else { return }
        self.owner = nil
        timer?.task.cancel()
        timer = nil
        let farewell = session.end(reason)
        for carrier in carriers {
            carrier.link.send(farewell)
            carrier.link.close(code, reason: reason.code.description)
        }
        carriers = []
        isDeferring = false
        performActions()
        flushSockets()
        probes.answer(false)
        account.close()
        countDrops()
        owner.common.session(self, ended: end)
    }

    /// The carrier is gone: streams pause.
    func reportLost(_ lost: LostCarrier) {
        performActions()
        flushSockets()
        countDrops()
        armTimer()
        owner?.common.session(self, lost: lost)
    }
}
