import NIOCore

/// The callers that wait for a sign of life from the peer.
struct LivenessProbes {
    private var waiting: [EventLoopPromise<Bool>] = []

    /// Waits for the next answer, for `timeout` at most.
    mutating func wait(_ timeout: TimeAmount, on loop: any EventLoop) -> EventLoopFuture<Bool> {
        let promise = loop.makePromise(of: Bool.self)
        waiting.append(promise)
        let task = loop.scheduleTask(in: timeout) { promise.succeed(false) }
        promise.futureResult.whenComplete { _ in task.cancel() }
        return promise.futureResult
    }

    /// Answers all callers.
    mutating func answer(_ isAlive: Bool) {
        let answered = waiting
        waiting = []
        for promise in answered { promise.succeed(isAlive) }
    }
}
