import TunnelCore

/// The fixed limits of a client's lanes.
extension FixedLimit {
    package static let lanes: [FixedLimit] = [
        FixedLimit(
            "Greatest number of `carriers`",
            .count(CarrierCount.bounds.upperBound),
            "each costs both ends a socket, and a proxy may refuse many"
        ),
        FixedLimit(
            "WebSockets of `carriers = \"auto\"`",
            .count(CarrierCount.automatic.maximum),
            "four for bulk traffic and one for interactive traffic"
        ),
        FixedLimit(
            "Least gain of throughput for which a further WebSocket is kept",
            .part(Int(1 / LaneTrial.leastGain)),
            "each one costs processor time and memory at both ends"
        ),
        FixedLimit(
            "Time that a transfer of 50 Mbit/s or more lasts before a further WebSocket is tried",
            .time(LanePolicy.lengthy),
            "few proxies throttle above that rate, and a trial without gain costs half a second"
        ),
        FixedLimit(
            "Shortest measurement of what a further WebSocket adds",
            .time(DeliveryMeter.shortest.window),
            "lossy paths need some time to show their rate; a result near the bound takes twice as long"
        ),
        FixedLimit(
            "Shortest wait for slow start before such a measurement",
            .time(DeliveryMeter.shortest.settling),
            "a new WebSocket does not show its rate at once"
        ),
        FixedLimit(
            "Longest measurement of that, and longest wait for slow start before it",
            .time(DeliveryMeter.longest),
            "ten round trips are enough, and few paths have one of more than a second"
        ),
        FixedLimit(
            "First wait after a WebSocket that added nothing",
            .time(LaneTrial.waits.first),
            "a path seldom changes within a minute"
        ),
        FixedLimit(
            "Longest wait after such WebSockets",
            .time(LaneTrial.waits.longest),
            "each trial costs the server and the proxy a connection"
        ),
        FixedLimit(
            "Time after a trial before another rate ends such a wait",
            .time(LaneTrial.recovery),
            "the other WebSockets have to take again what the closed ones had"
        ),
        FixedLimit(
            "Time without bulk traffic after which such waits end",
            .time(LaneDemand.pause),
            "another transfer may have another bottleneck"
        ),
        FixedLimit(
            "First wait after the refusal of a further WebSocket",
            .time(LaneRefusals.waits.first),
            "a crowded proxy may have room soon"
        ),
        FixedLimit(
            "Longest wait after such refusals",
            .time(LaneRefusals.waits.longest),
            "a proxy seldom changes its bound of connections"
        ),
        FixedLimit(
            "Time for which further WebSockets are kept without traffic for them",
            .time(LaneDemand.hold),
            "traffic that comes back soon needs no dial"
        ),
    ]
}
