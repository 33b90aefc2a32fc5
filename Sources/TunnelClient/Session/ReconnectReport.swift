import Logging
import TunnelCore

/// Reports the events of ``ReconnectLoop`` to the log, to the metrics and to the operator's view of the run.
struct ReconnectReport {
    private let progress: ClientProgress
    private let logger: Logger
    /// Dials in a row that led to servers in use, at which the log mentions them. Through a load balancer some do.
    static let mentionedRepeats = 3

    private var repeated = RepeatedFailure()
    private var repeats = 0

    init(_ progress: ClientProgress, _ logger: Logger) {
        self.progress = progress
        self.logger = logger
    }

    /// A dial begins.
    func dialling() {
        progress.dials()
    }

    /// A way has failed, and the next one is tried.
    func tryingNext(after failure: DialError) {
        logger.warning("\(failure)")
    }

    /// A dial has led to a session or to a carrier.
    mutating func connected(_ way: DialWay) {
        repeated.worked()
        repeats = 0
        progress.connected(way.description)
    }

    /// Another carrier is dialled while the present one lives.
    func renewing(_ why: String) {
        logger.info("dialling another carrier while this one lives", metadata: ["reason": "\(why)"])
    }

    /// The server did not know the session, and began another one.
    func forgotten() {
        logger.warning("the server did not know the session any more; its streams were reset")
    }

    /// The next session has begun beside one whose server is stopping.
    func succeeded() {
        logger.notice("the next session has begun; the streams of the last one go on until they end")
    }

    /// There is no next session yet beside one whose server is stopping.
    func staying(_ error: DialError, next wait: Duration) {
        logger.debug(
            "no other server yet; the session goes on until its streams end",
            metadata: ["reason": "\(error)", "again_in": .time(wait)]
        )
    }

    /// A carrier is lost, and its session waits for another one.
    func lost(_ lost: LostCarrier, next wait: Duration) {
        progress.failed("carrier lost: \(lost.reason)", isDown: true, next: wait)
        logger.warning(
            "carrier lost; dialling another one for the session",
            metadata: ["reason": "\(lost.reason)", "after": .time(lost.age), "in": .time(wait)]
        )
    }

    /// The path has taught a lesson, which the profile now contains.
    func learnt(_ lesson: PathProfile.Lesson, _ path: PathProfile) {
        switch lesson {
        case .idle(let idle):
            logger.notice(
                "the path cuts idle connections; pinging more often from now on",
                metadata: ["idle": .time(idle), "every": .time(path.pingInterval ?? idle)]
            )
        case .age(let age):
            logger.notice(
                "the path cuts old connections; renewing before that age from now on",
                metadata: ["age": .time(age), "at": .time(path.renewalAge ?? age)]
            )
        }
    }

    /// A session is over.
    func ended(_ end: ClientSessionEnd, next wait: Duration) {
        progress.failed("session lost: \(end.description)", isDown: true, next: wait)
        logger.warning(
            "session lost; dialling again",
            metadata: ["reason": "\(end.description)", "in": .time(wait)]
        )
    }

    /// A dial has led to no session. A failure that stays the same is logged more and more rarely.
    mutating func failed(_ error: DialError, next wait: Duration) {
        progress.failed(error.description, isDown: true, next: wait)
        if error.isServerInUse { return inUse(error, next: wait) }
        var metadata: Logger.Metadata = ["again_in": .time(wait)]
        if let why = error.waitReason { metadata["why"] = "\(why)" }
        if let line = repeated.line(error.description) {
            if line.times > 1 { metadata["times"] = .number(line.times) }
            logger.warning("\(error)", metadata: metadata)
        } else {
            logger.debug("\(error)", metadata: metadata)
        }
    }

    /// A dial has led to a server that another session has. The log mentions it once, until a dial has worked.
    private mutating func inUse(_ error: DialError, next wait: Duration) {
        repeats += 1
        logger.debug("\(error)", metadata: ["again_in": .time(wait)])
        guard repeats == Self.mentionedRepeats else { return }
        logger.notice(
            "no further server answers; the client works with the sessions it has, and looks for one from time to time",
            metadata: ["dials": .number(repeats)]
        )
    }

    /// A dial has led to no other carrier, and the present one stays.
    ///
    /// - Parameter wait: the wait before the next dial; nil if there is none.
    func renewalFailed(_ error: DialError, next wait: Duration?) {
        progress.failed(error.description, isDown: false, next: wait)
        var metadata: Logger.Metadata = ["reason": "\(error)"]
        if let wait { metadata["again_in"] = .time(wait) }
        logger.warning("renewal failed; the present WebSocket stays in use", metadata: metadata)
    }
}
