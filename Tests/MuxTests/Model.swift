import NIOCore
import Testing

@testable import Mux

/// Two sessions that are joined by two links, driven by random operations and checked by a naive model.
struct Model {
    static let window = 5_000
    static let widest = 80_000

    let seed: UInt64
    var random: SplitMix
    var now = Instant.start
    var sessions: [Role: Session]
    /// All carriers with the frames that each role has sent. Old ones may still deliver frames.
    var carriers = [[Role.server: ModelLink(), .client: ModelLink()]]
    /// The carriers that each end uses, by lane.
    var currentCarrier: [Role: [LaneID: Int]] = [.server: [.first: 0], .client: [.first: 0]]
    /// Counted frames that each end has handed out on a lane, and how many of them that end's current carrier has sent.
    var handedOut: [Role: [LaneID: [OutboundFrame]]] = [.server: [:], .client: [:]]
    var position: [Role: [LaneID: Int]] = [.server: [:], .client: [:]]
    /// Carriers that a session may have at a time: 1 for a session of one lane.
    let mostLanes: Int
    var epoch: UInt64 = 0
    /// Answers of the server that have not arrived at the client.
    var answers: [Answer] = []
    /// Carriers that the client took after other operations: for lanes that it opened, and for those that it resumed.
    var lateAnswers = (new: 0, resumed: 0)
    /// The number of lanes that were left.
    var retired = 0
    /// The number of lost carriers.
    var cuts = 0
    var streams: [StreamID: ModelStream] = [:]
    var tunnels = ModelTunnels()
    var step = 0
    /// The first failure, with its step.
    var failure: String?
    /// Delivered bytes; the test checks that there were some.
    var carried = 0

    init(seed: UInt64, mostLanes: Int = 1) {
        self.seed = seed
        self.mostLanes = mostLanes
        random = SplitMix(state: seed)
        let limits = limits {
            $0.streams = 40
            $0.opening = 10
            $0.initialWindow = Self.window
            $0.maximumWindow = Self.widest
            $0.replayBytes = 60_000
            $0.queuedPerStream = 3_000
            $0.bufferedBytes = 400_000
            // No reset overtakes bytes because of the time that it waited: ``ResetOrderTests`` cover that.
            $0.resetPatience = .seconds(1_000_000)
            // Two ends that use different lanes may need as long as a PING may take to find out.
            if mostLanes > 1 { $0.openTimeout = .seconds(1_000_000) }
        }
        sessions = [:]
        for role in [Role.server, .client] {
            sessions[role] = Session(role: role, limits: limits, peerWindow: UInt32(Self.window), seed: seed, now: now)
        }
    }

    mutating func check(_ condition: Bool, _ what: @autoclosure () -> String) {
        if !condition, failure == nil { failure = "seed \(seed), step \(step): \(what())" }
    }

    /// Gives an input to a session and checks every action.
    mutating func with(_ role: Role, _ body: (inout Session) throws(MuxError) -> Void) {
        guard var session = sessions.removeValue(forKey: role) else { return }
        do throws(MuxError) {
            try body(&session)
        } catch {
            check(false, "\(role) throws \(error)")
        }
        var dead: [LaneID] = []
        while let action = session.nextAction() {
            if case .silent(let lane, _) = action { dead.append(lane) } else { observe(action, at: role) }
        }
        sessions[role] = session
        for lane in dead { detach(role, lane) }
    }

    /// One end has lost a carrier.
    mutating func detach(_ role: Role, _ lane: LaneID) {
        currentCarrier[role]?[lane] = nil
        let now = now
        with(role) { session throws(MuxError) in session.detach(lane, now: now) }
    }

    private mutating func observe(_ action: SessionAction, at role: Role) {
        switch action {
        case .open(let id, _):
            check(id.opener == role.peer && streams[id] != nil && streams[id]?[role].isKnown == false, "\(action)")
            streams[id]?[role].isKnown = true
        case .accepted(let id):
            change(id, role, action) { $1.isAccepted && id.opener == role ? nil : "accepted without accept" }
        case .sendable(let id):
            change(id, role, action) { end, _ in
                defer { end.mayWrite = true }
                return end.mayWrite ? "sendable twice" : nil
            }
        case .deliver(let id, let bytes):
            carried += bytes.readableBytes
            change(id, role, action) { end, stream in
                guard !end.sawEnd else { return "bytes after the end" }
                let range = end.delivered..<end.delivered + bytes.readableBytes
                end.delivered = range.upperBound
                guard range.upperBound <= stream[role.peer].written else { return "bytes that were not written" }
                let expected = range.map { stream.byte($0, from: role.peer) }
                return expected.elementsEqual(bytes.readableBytesView) ? nil : "bytes that differ from the written ones"
            }
        case .datagram(let id, let bytes):
            carried += bytes.readableBytes
            let mayOvertake = mostLanes > 1
            change(id, role, action) { end, stream in
                guard stream.isFlow, let number: UInt64 = bytes.getInteger(at: bytes.readerIndex) else {
                    return "a datagram of a stream of bytes"
                }
                defer { end.delivered = Int(clamping: number) }
                // Those that took different lanes may overtake each other.
                if mayOvertake { return number <= stream[role.peer].written ? nil : "a datagram that was not sent" }
                return number > end.delivered && number <= stream[role.peer].written ? nil : "a datagram twice, or late"
            }
        case .end(let id):
            change(id, role, action) { end, stream in
                let other = stream[role.peer]
                guard !end.sawEnd, other.hasFinished else { return "end without finish, or twice" }
                end.sawEnd = true
                return end.delivered == other.written
                    ? nil : "\(end.delivered) of \(other.written) bytes before the end"
            }
        case .reset(let id, _):
            change(id, role, action) { end, stream in
                let other = stream[role.peer]
                end.sawReset = true
                if stream.isFlow || end.consumed == end.delivered { end.isGone = true } else { end.isDraining = true }
                guard other.hasReset, !end.hasReset else { return "reset that was not sent" }
                return !other.resetFollows || end.delivered == other.written
                    ? nil : "\(end.delivered) of \(other.written) bytes before the reset"
            }
        case .abort:
            check(false, "\(action) at \(role)")
        case .closed(let id):
            change(id, role, action) { end, _ in
                defer { (end.isGone, end.wasClosed) = (true, true) }
                if end.isDraining { return end.consumed == end.delivered ? nil : "closed too early" }
                guard end.mayWrite else { return "its socket was not resumed" }
                return end.sawEnd && end.hasFinished && end.consumed == end.delivered ? nil : "closed too early"
            }
        case .answered, .roomChanged:
            break
        case .blocked(let id):
            change(id, role, action) { end, _ in
                defer { end.mayWrite = false }
                return end.mayWrite ? nil : "blocked twice"
            }
        case .bind, .unbind, .state, .bound, .unbound:
            if let wrong = tunnels.observe(action, at: role) { check(false, wrong) }
        case .retired(let lane):
            currentCarrier[role]?[lane] = nil
            retired += 1
        case .silent, .goingAway, .renew, .numbersRunOut:
            check(false, "\(action) at \(role)")
        }
    }

    private mutating func change(
        _ id: StreamID,
        _ role: Role,
        _ action: SessionAction,
        _ body: (inout ModelStream.End, ModelStream) -> String?
    ) {
        guard let stream = streams[id] else { return check(false, "\(action) of no stream") }
        var end = stream[role]
        check(!end.isGone, "\(action) at \(role) after reset or closed")
        if let wrong = body(&end, stream) { check(false, "stream \(id) at \(role): \(wrong)") }
        streams[id]?[role] = end
    }

    // MARK: Operations

    mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &random) }

    /// Performs one random operation; `isEnding` leads every stream to its end.
    mutating func operate(isEnding: Bool) {
        step += 1
        now = now + .microseconds(below(3_000))
        let role = below(2) == 0 ? Role.server : .client
        let living = streams.values.filter { $0[role].isKnown && !$0[role].isGone }.map(\.id).sorted()
        let id = living.isEmpty ? nil : living[below(living.count)]
        switch below(22) {
        case 0 where !isEnding: open(role)
        case 1: if let id { accept(id) }
        case 2..<7 where !isEnding: if let id { write(id, role) }
        case 7: if let id, isEnding || below(4) == 0 { finish(id, role) }
        case 8: if let id, below(isEnding ? 40 : 8) == 0 { reset(id, role) }
        case 9..<12: if let id { consume(id, role) }
        case 12, 13: pump(role, frames: below(20))
        case 14: tick(role)
        case 16: operateTunnels(isEnding: isEnding)
        case 15: if below(6) == 0 { disturb() }
        case 17: answer()
        default: arrive(role)
        }
    }

    private mutating func open(_ role: Role) {
        var opened: StreamID?
        let now = now
        let isFlow = below(4) == 0
        let kind: StreamKind = isFlow ? .udp : .tcp
        let request =
            role == .server
            ? OpenRequest(tunnel: 0, kind: kind, visitor: "203.0.113.9:40001")
            : OpenRequest(destination: "db.internal:5432", kind: kind, visitor: "127.0.0.1:1")
        with(role) { session throws(MuxError) in opened = session.open(request, now: now) }
        guard let opened else { return }
        check(streams[opened] == nil && opened.opener == role, "stream \(opened) twice")
        streams[opened] = ModelStream(id: opened, isFlow: isFlow)
        streams[opened]?[role].isKnown = true
    }

    private mutating func accept(_ id: StreamID) {
        guard let stream = streams[id], let acceptor = id.opener?.peer, stream[acceptor].isKnown,
            !stream[acceptor].isGone, !stream[acceptor].isDraining
        else { return }
        streams[id]?.isAccepted = true
        let now = now
        with(acceptor) { session throws(MuxError) in session.accept(id, now: now) }
    }

    private mutating func write(_ id: StreamID, _ role: Role) {
        guard let stream = streams[id], !stream[role].hasFinished, stream[role].mayWrite, !stream[role].isDraining
        else { return }
        guard role == id.opener || stream.isAccepted else { return }
        guard !stream.isFlow else {
            let (number, now) = (UInt64(stream[role].written + 1), now)
            streams[id]?[role].written += 1
            return with(role) { session throws(MuxError) in session.send(id, ByteBuffer(integer: number), now: now) }
        }
        let offset = stream[role].written
        let length = [1, 100, 3_000, 40_000][below(4)]
        let bytes = buffer((offset..<offset + below(length)).map { stream.byte($0, from: role) })
        streams[id]?[role].written += bytes.readableBytes
        // The session never resets here, since the queues are far from their bound.
        with(role) { session throws(MuxError) in session.write(id, bytes) }
    }

    private mutating func finish(_ id: StreamID, _ role: Role) {
        guard let stream = streams[id], role == id.opener || stream.isAccepted, !stream[role].isDraining else { return }
        // A flow has no END.
        guard !stream.isFlow else { return reset(id, role) }
        streams[id]?[role].hasFinished = true
        with(role) { session throws(MuxError) in session.finish(id) }
    }

    private mutating func reset(_ id: StreamID, _ role: Role) {
        guard let end = streams[id]?[role], let other = streams[id]?[role.peer], !end.isDraining else { return }
        let isFlow = streams[id]?.isFlow ?? false
        // If both sockets are reset and both ends lack credit, time alone ends the stream, and it does not here.
        guard isFlow || !other.hasReset || other.written <= other.granted else { return }
        streams[id]?[role].resetFollows = !isFlow && end.written - end.granted <= Self.window
        streams[id]?[role].hasReset = true
        streams[id]?[role].isGone = true
        let now = now
        with(role) { session throws(MuxError) in session.reset(id, .connectionReset, now: now) }
    }

    private mutating func consume(_ id: StreamID, _ role: Role) {
        guard let end = streams[id]?[role], streams[id]?.isFlow == false, end.delivered > end.consumed else { return }
        let count = below(3) == 0 ? end.delivered - end.consumed : 1 + below(end.delivered - end.consumed)
        streams[id]?[role].consumed += count
        let now = now
        with(role) { session throws(MuxError) in session.consumed(id, count, now: now) }
    }

    mutating func tick(_ role: Role) {
        let now = now
        with(role) { session throws(MuxError) in try session.tick(now: now) }
    }

    /// Moves frames from a session to the link of one of its lanes.
    mutating func pump(_ role: Role, frames: Int, over lane: LaneID? = nil) {
        let now = now
        let lanes = currentCarrier[role]?.keys.sorted() ?? []
        let lane = lane ?? (lanes.isEmpty ? .first : lanes[below(lanes.count)])
        var sent: [OutboundFrame] = []
        with(role) { session throws(MuxError) in
            while sent.count < frames, let frame = session.nextFrame(on: lane, now: now) { sent.append(frame) }
        }
        guard let carrier = currentCarrier[role]?[lane] else { return check(sent.isEmpty, "frames without a carrier") }
        for frame in sent {
            if isNew(frame, from: role, over: lane) { watch(frame, from: role) }
            carriers[carrier][role]?.send(frame)
        }
    }

    /// Whether a frame is handed out on its lane for the first time. A repeated frame must be the next one to repeat.
    private mutating func isNew(_ frame: OutboundFrame, from role: Role, over lane: LaneID) -> Bool {
        guard frame.header.type.isCounted else { return true }
        let index = position[role]?[lane] ?? 0
        let old = handedOut[role]?[lane] ?? []
        position[role]?[lane] = index + 1
        guard index < old.count else {
            handedOut[role]?[lane, default: []].append(frame)
            return true
        }
        check(frame == old[index], "\(role) sends \(frame.short) and not \(old[index].short) again")
        return false
    }

    // MARK: Frames

    /// Checks a sent frame against the credit and the order of its stream.
    private mutating func watch(_ frame: OutboundFrame, from role: Role) {
        guard var end = streams[frame.header.stream]?[role] else { return }
        switch frame.header.type {
        case .data:
            // A lost lane's frames leave again over another one.
            if frame.offset == end.sent { end.sent += frame.payload.readableBytes }
            check(Int(frame.offset) + frame.payload.readableBytes <= end.sent, "\(frame.short): with a gap before it")
            check(end.sent <= end.granted && end.sent <= end.written, "\(frame.short): beyond the credit")
        case .end:
            check(end.sent == end.written && end.hasFinished, "\(frame.short): before the last byte")
        case .credit:
            check(frame.number <= end.consumed + Self.widest, "\(frame.short): for bytes that were not consumed")
        default: break
        }
        streams[frame.header.stream]?[role] = end
    }

    /// Gives a session the next frame of its peer. The session itself checks the credit.
    mutating func arrive(_ role: Role) {
        let lanes = currentCarrier[role]?.keys.sorted() ?? []
        guard !lanes.isEmpty else { return }
        arrive(role, over: lanes[below(lanes.count)])
    }

    private mutating func arrive(_ role: Role, over lane: LaneID) {
        guard let carrier = currentCarrier[role]?[lane], !isReplaced(role, lane) else { return }
        var frame: InboundFrame?
        do throws(MuxError) {
            frame = try carriers[carrier][role.peer]?.receive(&random)
        } catch { check(false, "\(error)") }
        guard let frame else { return }
        if frame.header.type == .credit, let before = streams[frame.header.stream]?[role].granted {
            // A later one may have come first, over another lane.
            streams[frame.header.stream]?[role].granted = max(before, Int(clamping: frame.number))
        }
        let now = now
        with(role) { session throws(MuxError) in try session.receive(frame, on: lane, now: now) }
    }

    /// Runs both ends until nothing is left to do.
    mutating func settle() {
        let late = lateAnswers
        while !answers.isEmpty { answer() }
        lateAnswers = late
        for _ in 0..<5_000 {
            guard failure == nil else { return }
            now = now + .milliseconds(25)
            if currentCarrier[.client]?.isEmpty ?? true { resume() }
            let both = (currentCarrier[.client] ?? [:], currentCarrier[.server] ?? [:])
            // Ends that use different carriers find out by silence; a single lane is resumed at once.
            if both.0 != both.1, mostLanes == 1 { resume() }
            for role in [Role.server, .client] {
                tick(role)
                for lane in (currentCarrier[role] ?? [:]).keys.sorted() { pump(role, frames: .max, over: lane) }
                for lane in (currentCarrier[role] ?? [:]).keys.sorted() {
                    while let carrier = currentCarrier[role]?[lane], failure == nil,
                        carriers[carrier][role.peer]?.count ?? 0 > 0
                    {
                        arrive(role, over: lane)
                    }
                }
                for id in streams.keys.sorted() {
                    guard let end = streams[id]?[role], end.isKnown, !end.isGone else { continue }
                    if role == id.opener?.peer, streams[id]?.isAccepted == false { accept(id) }
                    consume(id, role)
                    if !end.hasFinished { finish(id, role) }
                }
            }
            let isDone = sessions.values.allSatisfy { $0.holdings == Session.Holdings() }
            if isDone { return }
        }
        let left = sessions.mapValues(\.holdings)
        check(false, "not done: \(left)")
    }
}
