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
    /// Lets one dial end in each observation, and not all of them.
    var staggersDials = false
    /// Further bits a second of each lane, at random: 0.1 for 10 % up or down.
    var noise = 0.0
    var observationsPerSecond = 1
    private(set) var log: [Entry] = []
    private(set) var logLines: [Duration] = []
    private(set) var lanes: Set<UInt32> = [0]
    /// The quick lane, which the session chooses.
    private(set) var quick: UInt32 = 0
    /// Whether the quick lane was closed, which must not happen.
    private(set) var hasClosedQuick = false
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
    mutating func lose(_ lane: UInt32) {
        lanes.remove(lane)
        if lane == quick, let next = lanes.min() { quick = next }
    }

    private mutating func step(bulk: Bool, interactive: Bool) {
        if interactive { lastInteractive = ticks }
        let moved = bulk ? share() : [:]
        delivered += moved.values.reduce(0, +)
        leaving = leaving.mapValues { $0 - 1 }.filter { $0.value > 0 }
        connect(bulk: bulk)
        ticks += 1
        let observation = LaneObservation(
            now: now,
            roundTrip: roundTrip,
            lanes: lanes.union(leaving.keys).map { LaneObservation.Lane(number: $0, moved: moved[$0] ?? 100) },
            quick: quick,
            hasBulk: bulk,
            hasInteractive: interactive,
            dialling: dials
        )
        for decision in policy.observe(observation) {
            log.append(Entry(second: second, decision: decision))
            switch decision {
            case .open: dials += 1
            case .close(let lane, _):
                if lane == quick { hasClosedQuick = true }
                lanes.remove(lane)
                leaving[lane] = 3
            }
        }
    }

    /// The bytes of each lane. A new lane begins slowly. For ten seconds after interactive traffic, bulk leaves the quick
    /// lane as soon as another one is warm.
    private mutating func share() -> [UInt32: UInt64] {
        let warming = (roundTrip ?? .zero) * 16 / .seconds(1)
        let isWarm = lanes.contains { $0 != quick && age($0) >= warming }
        let isReserved = isWarm && isNearInteractive
        let used = (isReserved ? lanes.subtracting([quick]) : lanes).sorted()
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

    private var isNearInteractive: Bool { ticks - lastInteractive < 10 * observationsPerSecond }

    /// Dials take until the next observation. A new lane becomes the quick one if bulk uses that beside interactive traffic.
    private mutating func connect(bulk: Bool) {
        let isQuickShared = bulk && lanes.count == 1 && isNearInteractive
        if isQuickShared, dials > 0, lanes.count < proxyLimit { quick = nextNumber }
        let ending = staggersDials ? min(dials, 1) : dials
        for _ in 0..<ending {
            if lanes.count >= proxyLimit {
                if let wait = policy.failed(now: now) { logLines.append(wait) }
            } else {
                lanes.insert(nextNumber)
                born[nextNumber] = ticks + 1
                nextNumber += 1
            }
        }
        dials -= ending
        mostCarriers = max(mostCarriers, lanes.count + leaving.count)
    }
}

extension SplitMix64 {
    /// The next number from 0 to 1.
    mutating func unit() -> Double { Double(next() >> 11) / Double(1 << 53) }
}
