import NIOCore
import TunnelCore

/// Bytes that have gone one way at a time.
struct RateSample: Sendable, Equatable {
    let bytes: Int
    let time: Duration
}

/// One measurement of a rate, until its time is over.
final class RateRun {
    private let promise: EventLoopPromise<[RateSample]>
    /// What has arrived so far.
    var samples: [RateSample] = []
    private(set) var isFinished = false

    init(_ promise: EventLoopPromise<[RateSample]>) {
        self.promise = promise
    }

    /// Reports what has arrived, and closes the stream: the rest of what waits need not arrive. Closing may call it again.
    func finish(_ channel: any Channel) {
        guard !isFinished else { return }
        isFinished = true
        promise.succeed(samples)
        SocketOptions.resetOnClose(channel)
        channel.close(promise: nil)
    }
}
