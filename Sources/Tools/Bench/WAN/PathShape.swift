import ArgumentParser

/// The properties of a path between two hosts, the same in both directions.
struct PathShape: ExpressibleByArgument, Hashable, Codable, Sendable {
    /// The largest packet, as on an Ethernet without offloads.
    static let maximumPacket = 1_500
    /// The shortest queue before the bottleneck, in seconds.
    private static let shortestQueue = 0.1

    /// A long path without loss, one with a little loss, and a shorter one with much.
    static let usual = [
        PathShape(delayMilliseconds: 50, megabitsPerSecond: 100, lossPercent: 0),
        PathShape(delayMilliseconds: 50, megabitsPerSecond: 100, lossPercent: 0.2),
        PathShape(delayMilliseconds: 25, megabitsPerSecond: 100, lossPercent: 1),
    ]

    /// The delay of one direction.
    let delayMilliseconds: Double
    /// The rate of the bottleneck.
    let megabitsPerSecond: Double
    /// The share of packets that vanish at random.
    let lossPercent: Double

    /// The delay of one direction in seconds.
    var delay: Double { delayMilliseconds / 1_000 }

    /// The time of a packet at the bottleneck, in seconds.
    func transmission(ofBytes count: Int) -> Double { Double(count) * 8 / (megabitsPerSecond * 1e6) }

    /// The longest time that a packet waits for the bottleneck: 100 ms or one round trip, whichever is longer. A packet
    /// that would wait longer is dropped.
    var queue: Double { max(Self.shortestQueue, 2 * delay) }

    /// A description for the title of a table.
    var title: String {
        let loss = lossPercent == 0 ? "no loss" : "\(Self.text(lossPercent)) % loss"
        return "\(Self.text(2 * delayMilliseconds)) ms, \(Self.text(megabitsPerSecond)) Mbit/s, \(loss)"
    }

    /// A number without needless decimals.
    static func text(_ value: Double) -> String {
        Int(exactly: value) != nil ? MarkdownReport.number(value, 0) : "\(value)"
    }
}

extension PathShape {
    /// The text of ``init(argument:)``.
    var argument: String {
        [delayMilliseconds, megabitsPerSecond, lossPercent].map { value in
            Int(exactly: value).map { "\($0)" } ?? "\(value)"
        }.joined(separator: "/")
    }

    /// The same in the help.
    var defaultValueDescription: String { argument }

    /// Reads `DELAY/RATE/LOSS`: milliseconds of one direction, Mbit/s, percent.
    init?(argument: String) {
        let parts = argument.split(separator: "/", omittingEmptySubsequences: false).map { Double($0) }
        guard parts.count == 3, let delay = parts[0], let rate = parts[1], let loss = parts[2],
            (0...10_000).contains(delay), (0.01...10_000).contains(rate), (0...99).contains(loss)
        else { return nil }
        self.init(delayMilliseconds: delay, megabitsPerSecond: rate, lossPercent: loss)
    }
}
