import Mux
import NIOCore

/// The session's deadlines.
extension SessionLoop {
    func armTimer() {
        // Not before the session has begun, nor once it is over.
        guard owner != nil else { return }
        let due = session.deadline
        if let timer, timer.due <= due { return }
        timer?.task.cancel()
        let task = eventLoop.assumeIsolated().scheduleTask(deadline: .uptimeNanoseconds(due.nanoseconds)) {
            self.timer = nil
            self.run(.timer)
        }
        timer = (due, task)
    }

    func takeTimer() {
        do throws(MuxError) {
            try session.tick(now: .now)
            sendFramesNow()
        } catch {
            switch error.kind {
            case .abandoned: finish(.abandoned(error), tell: Refusal(.goingAway, ""), close: .goingAway)
            default: violate(error)
            }
        }
    }
}
