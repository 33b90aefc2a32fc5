import Mux
import TestSupport

@testable import TunnelClient

/// A session whose lanes follow ``LanePolicy`` over a simulated path, in simulated seconds.
struct LaneSimulation {
    /// One decision and its second.
    struct Entry: Equatable {
        let second: Int
        let decision: LaneDecision
    }

    /// Bits a second that a path delivers with so many lanes of bulk traffic.
    typealias Path = @Sendable (Int) -> Double

    /// A proxy that throttles each carrier, on a line with this rate.
    static func throttled(each: Double, line: Double = 1e9) -> Path { { min(each * Double($0), line) } }

    /// A line that one lane fills.
    static func shared(_ rate: Double) -> Path { { _ in rate } }

    var policy: LanePolicy
    var path: Path
    /// A line that takes the place of the path.
    var lossyLine: LossyLine?
    var roundTrip: Duration? = .milliseconds(100)
    /// Bytes of all bulk traffic.
    private(set) var delivered: UInt64 = 0
    /// Refuses carriers beyond this number.
    var proxyLimit = Int.max
    /// Further bits a second of each lane, at random: 0.1 for 10 % up or down.
    var noise = 0.0
    var observationsPerSecond = 1
    private(set) var log: [Entry] = []
    private(set) var logLines: [Duration] = []
    private(set) var lanes: Set<UInt32> = [0]
    /// Lanes that are being closed, each with the observations that still show it.
    private var leaving: [UInt32: Int] = [:]
    private(set) var mostCarriers = 1
    /// The tick in which each further lane was dialled.
    private var born: [UInt32: Int] = [:]
    private var lastInteractive = Int.min / 2
    private var dials = 0
    private var nextNumber: UInt32 = 1
    private var random = SplitMix64(state: 25)
    private var ticks = 0

    init(_ path: @escaping Path, _ count: CarrierCount = .automatic) {
        policy = LanePolicy(count)
        self.path = path
    }

    var second: Int { ticks / observationsPerSecond }
    var now: Instant { Instant(nanoseconds: 1_000_000_000_000 + UInt64(ticks * 1_000_000_000 / observationsPerSecond)) }
    /// The seconds in which lanes were dialled.
    var opened: [Int] { log.compactMap { if case .open = $0.decision { $0.second } else { nil } } }
    var decisions: [LaneDecision] { log.map(\.decision) }

    /// Lets the session run with this traffic.
    mutating func run(_ seconds: Int, bulk: Bool = true, interactive: Bool = false) {
        for _ in 0..<seconds * observationsPerSecond { step(bulk: bulk, interactive: interactive) }
    }

    /// The path cuts a lane, and the session gives it up.
    mutating func lose(_ lane: UInt32) { lanes.remove(lane) }

    private mutating func step(bulk: Bool, interactive: Bool) {
        if interactive { lastInteractive = ticks }
        let moved = bulk ? share() : [:]
        delivered += moved.values.reduce(0, +)
        leaving = leaving.mapValues { $0 - 1 }.filter { $0.value > 0 }
        connect()
        ticks += 1
        let observation = LaneObservation(
            now: now,
            roundTrip: roundTrip,
            lanes: lanes.union(leaving.keys).map { LaneObservation.Lane(number: $0, moved: moved[$0] ?? 100) },
            hasBulk: bulk,
            hasInteractive: interactive,
            dialling: dials
        )
        for decision in policy.observe(observation) {
            log.append(Entry(second: second, decision: decision))
            switch decision {
            case .open: dials += 1
            case .close(let lane, _):
                lanes.remove(lane)
                leaving[lane] = 3
            }
        }
    }

    /// The bytes of each lane. A new lane begins slowly. For ten seconds after interactive traffic, bulk leaves lane 0 as
    /// soon as another lane is warm.
    private mutating func share() -> [UInt32: UInt64] {
        let warming = (roundTrip ?? .zero) * 16 / .seconds(1)
        let isWarm = lanes.contains { $0 != 0 && age($0) >= warming }
        let isReserved = isWarm && ticks - lastInteractive < 10 * observationsPerSecond
        let used = (isReserved ? lanes.subtracting([0]) : lanes).sorted()
        if let moved = lossyLine?.deliver(used, for: .seconds(1) / observationsPerSecond) { return moved }
        let each = path(used.count) / 8 / Double(used.count) / Double(observationsPerSecond)
        return used.reduce(into: [:]) { moved, lane in
            let factor = 1 + noise * (2 * random.unit() - 1)
            moved[lane] = UInt64(each * factor * (age(lane) == 0 ? 0.3 : 1))
        }
    }

    /// The seconds for which a lane has been there.
    private func age(_ lane: UInt32) -> Double {
        Double(ticks - (born[lane] ?? -1_000)) / Double(observationsPerSecond)
    }

    /// Dials take until the next observation.
    private mutating func connect() {
        for _ in 0..<dials {
            if lanes.count >= proxyLimit {
                if let wait = policy.failed(now: now) { logLines.append(wait) }
            } else {
                lanes.insert(nextNumber)
                born[nextNumber] = ticks + 1
                nextNumber += 1
            }
        }
        dials = 0
        mostCarriers = max(mostCarriers, lanes.count + leaving.count)
    }
}

extension SplitMix64 {
    /// The next number from 0 to 1.
    mutating func unit() -> Double { Double(next() >> 11) / Double(1 << 53) }
}
