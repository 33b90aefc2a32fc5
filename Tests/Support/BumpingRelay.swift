import Foundation
import Synchronization

/// A relay that reads and writes the WebSockets between a client and a server, as a proxy that inspects TLS does, and
/// attacks as told.
///
/// Each connection takes the next attack. After one that RFC 6455 permits it takes another, and an attack whose message
/// did not come goes back.
public final class BumpingRelay: Sendable {
    fileprivate struct State {
        var attacks: [PathAttack] = []
        var performed: [PathAttack] = []
        var earlier: [PathAttack.Direction: [UInt8]] = [:]
        var open: [BumpedConnection] = []
        var isRecording = false
        var heard: [PathAttack.Direction: [[UInt8]]] = [:]
        var heads = ""
    }

    fileprivate final class Shared: Sendable {
        let state = Mutex(State())
    }

    private let shared: Shared
    private let service: TCPService

    /// - Parameters:
    ///   - target: the server's port.
    ///   - isRecording: whether to keep all messages.
    public init(to target: UInt16, isRecording: Bool = false) throws {
        let shared = Shared()
        self.shared = shared
        shared.state.withLock { $0.isRecording = isRecording }
        service = try TCPService { client in
            let connection = BumpedConnection(client, try TCPSocket(port: target), shared.access)
            shared.state.withLock { $0.open.append(connection) }
            defer { shared.state.withLock { $0.open.removeAll { $0 === connection } } }
            try connection.run()
        }
    }

    /// The port on which it listens.
    public var port: UInt16 { service.port }
    /// The number of connections so far.
    public var accepted: Int { service.accepted }

    /// Adds attacks, for which it needs connections.
    public func perform(_ attacks: [PathAttack]) {
        shared.state.withLock { $0.attacks += attacks }
    }

    /// Takes back the attacks that were not performed.
    public func stop() {
        shared.state.withLock { $0.attacks = [] }
    }

    /// Cuts all connections.
    public func cutAll() {
        for connection in shared.state.withLock({ $0.open }) { connection.cut() }
    }

    /// The attacks that wait for a connection.
    public var waiting: Int { shared.state.withLock { $0.attacks.count } }
    /// The attacks that were performed.
    public var performed: [PathAttack] { shared.state.withLock { $0.performed } }
    /// The messages so far, unmasked, in their order, if they are recorded.
    public func heard(_ direction: PathAttack.Direction) -> [[UInt8]] {
        shared.state.withLock { $0.heard[direction] ?? [] }
    }
    /// The requests and answers of the upgrades.
    public var heads: String { shared.state.withLock { $0.heads } }

    /// What connections share.
    struct Access: Sendable {
        let take: @Sendable () -> PathAttack?
        let giveBack: @Sendable (PathAttack) -> Void
        let performed: @Sendable (PathAttack) -> Void
        /// Records a message, and returns one of an earlier connection.
        let note: @Sendable (PathAttack.Direction, [UInt8]) -> Void
        let earlier: @Sendable (PathAttack.Direction) -> [UInt8]?
        let remember: @Sendable (PathAttack.Direction, [UInt8]) -> Void
        let head: @Sendable (String) -> Void
    }
}

extension BumpingRelay.Shared {
    fileprivate var access: BumpingRelay.Access {
        BumpingRelay.Access(
            take: { self.state.withLock { $0.attacks.isEmpty ? nil : $0.attacks.removeFirst() } },
            giveBack: { attack in self.state.withLock { $0.attacks.insert(attack, at: 0) } },
            performed: { attack in self.state.withLock { $0.performed.append(attack) } },
            note: { direction, message in
                self.state.withLock { if $0.isRecording { $0.heard[direction, default: []].append(message) } }
            },
            earlier: { direction in self.state.withLock { $0.earlier[direction] } },
            remember: { direction, message in self.state.withLock { $0.earlier[direction] = message } },
            head: { head in self.state.withLock { $0.heads += head } }
        )
    }
}

/// One connection of the relay.
final class BumpedConnection: Sendable {
    private struct State {
        var attack: PathAttack?
        var last: [PathAttack.Direction: [UInt8]] = [:]
    }

    private let client: TCPSocket
    private let server: TCPSocket
    private let access: BumpingRelay.Access
    private let state = Mutex(State())

    init(_ client: TCPSocket, _ server: TCPSocket, _ access: BumpingRelay.Access) {
        (self.client, self.server, self.access) = (client, server, access)
    }

    func cut() {
        client.cut()
        server.cut()
    }

    /// Relays until both directions have ended.
    func run() throws {
        defer {
            client.close()
            server.close()
        }
        let (request, early) = try Self.head(of: client)
        access.head(request)
        try server.send(request)
        let (answer, more) = try Self.head(of: server)
        access.head(answer)
        try client.send(answer)
        let attack = access.take()
        state.withLock { $0.attack = attack }
        let isDone = DispatchSemaphore(value: 0)
        Thread.detachNewThread { [self] in
            pass(.toClient, more, from: server, to: client)
            isDone.signal()
        }
        pass(.toServer, early, from: client, to: server)
        isDone.wait()
        let (left, last) = state.withLock { ($0.attack, $0.last) }
        if let left { access.giveBack(left) }
        for (direction, message) in last { access.remember(direction, message) }
    }

    private static func head(of socket: TCPSocket) throws -> (String, rest: [UInt8]) {
        var bytes: [UInt8] = []
        while true {
            if let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) {
                return (String(decoding: bytes[..<end.upperBound], as: UTF8.self), Array(bytes[end.upperBound...]))
            }
            let more = try socket.receive()
            if more.isEmpty { throw ScenarioFailure(description: "no upgrade") }
            bytes += more
        }
    }

    private func pass(_ direction: PathAttack.Direction, _ early: [UInt8], from: TCPSocket, to: TCPSocket) {
        var lane = BumpedDirection(direction)
        var bytes = early
        do {
            while true {
                let wire = lane.relay(bytes) { count, message in due(direction, count, message) }
                if let wire { try to.send(wire) } else { throw SocketError.reset }
                if !lane.answers.isEmpty { try from.send(lane.answers) }
                lane.answers = []
                bytes = try from.receive()
                if bytes.isEmpty { return try to.finishSending() }
            }
        } catch {
            cut()
        }
    }

    /// The attack that is due at a message, with what it needs.
    private func due(_ direction: PathAttack.Direction, _ count: Int, _ message: [UInt8]) -> BumpedDirection.Due? {
        access.note(direction, message)
        let other: PathAttack.Direction = direction == .toServer ? .toClient : .toServer
        let (attack, reflected) = state.withLock { state -> (PathAttack?, [UInt8]?) in
            state.last[direction] = message
            guard let attack = state.attack, attack.direction == direction, count >= attack.position else {
                return (nil, nil)
            }
            state.attack = nil
            return (attack, state.last[other])
        }
        guard let attack else { return nil }
        access.performed(attack)
        if attack.isLegal {
            let next = access.take()
            state.withLock { $0.attack = next }
        }
        return .init(act: attack.act, reflected: reflected, earlier: access.earlier(direction))
    }
}

/// One direction of a bumped connection: its bytes come in, and leave with an attack.
private struct BumpedDirection {
    struct Due {
        let act: PathAttack.Act
        let reflected: [UInt8]?
        let earlier: [UInt8]?
    }

    private let direction: PathAttack.Direction
    private var reader = RawFrameReader()
    private var count = 0
    private var first: [UInt8]?
    private var previous: [UInt8]?
    /// A message that waits for the next one.
    private var held: (message: [UInt8], isJoined: Bool)?
    /// What goes back to the sender.
    var answers: [UInt8] = []

    init(_ direction: PathAttack.Direction) {
        self.direction = direction
    }

    private var mask: [UInt8]? { direction == .toServer ? randomBytes(4) : nil }

    /// - Returns: the bytes to pass on; nil if the connection is to be cut.
    mutating func relay(_ bytes: [UInt8], due: (Int, [UInt8]) -> Due?) -> [UInt8]? {
        reader.append(bytes)
        var wire: [UInt8] = []
        while let frame = reader.next() {
            guard !frame.isControl else {
                wire += frame.wire(mask: mask)
                continue
            }
            let due = due(count, frame.payload)
            guard due?.act != .cutConnection else { return nil }
            wire += message(frame, due)
            first = first ?? frame.payload
            previous = frame.payload
            count += 1
        }
        return wire
    }

    private mutating func message(_ frame: RawFrame, _ due: Due?) -> [UInt8] {
        if let (message, isJoined) = held {
            held = nil
            let frames =
                isJoined ? [RawFrame(payload: message + frame.payload)] : [frame, RawFrame(payload: message)]
            return frames.flatMap { $0.wire(mask: mask) }
        }
        guard let due else { return frame.wire(mask: mask) }
        if case .otherMasking = due.act {
            return frame.wire(mask: direction == .toServer ? nil : randomBytes(4))
        }
        return frames(frame, due).flatMap { $0.wire(mask: mask) }
    }

    private mutating func frames(_ frame: RawFrame, _ due: Due) -> [RawFrame] {
        var frame = frame
        let last = frame.payload.count - 1
        switch due.act {
        case .flip(let place):
            guard last >= 0 else { return [] }
            frame.payload[place == .first ? 0 : place == .middle ? last / 2 : last] ^= 0x10
            return [frame]
        case .drop, .cutConnection: return []
        case .repeat: return [frame, frame]
        case .swapWithNext, .joinWithNext:
            held = (frame.payload, due.act == .joinWithNext)
            return []
        case .cutLastByte: return [RawFrame(payload: frame.payload.dropLast())]
        case .appendByte: return [RawFrame(payload: frame.payload + [0])]
        case .insertRandom(let count): return [RawFrame(payload: randomBytes(count)), frame]
        case .insertOld(let isFirst):
            return [RawFrame(payload: (isFirst ? first : previous) ?? randomBytes(30)), frame]
        case .insertFromEarlierCarrier: return [RawFrame(payload: due.earlier ?? randomBytes(30)), frame]
        case .reflect: return [RawFrame(payload: due.reflected ?? randomBytes(30)), frame]
        case .insertPlain(let plain): return [RawFrame(payload: plain), frame]
        case .answer(let message):
            answers += RawFrame(payload: message).wire(mask: direction == .toServer ? nil : randomBytes(4))
            return []
        case .replace(let message): return [RawFrame(payload: message)]
        case .head(let head): return [RawFrame(head: head, payload: frame.payload)]
        case .length(let difference): return [RawFrame(payload: frame.payload, length: .wrong(by: difference))]
        case .longestLength: return [RawFrame(payload: frame.payload, length: .longest)]
        case .otherMasking: return [frame]
        case .close: return [RawFrame(head: RawFrame.close, payload: [3, 232]), frame]
        case .pings(let count):
            return [RawFrame](repeating: RawFrame(head: RawFrame.ping, payload: [7]), count: count) + [frame]
        case .fragments(let lengths): return RawFrame.fragments(frame.payload, lengths)
        }
    }
}
