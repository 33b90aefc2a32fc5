import TunnelCore

/// Fixed limits of the probes with which `culvert doctor` measures the path.
extension FixedLimit {
    package static let probes: [FixedLimit] = [
        FixedLimit(
            "Probes of a session",
            .count(ProbeStreams.maximumStreams),
            "a measurement needs two at a time"
        ),
        FixedLimit(
            "Probes that move bytes in bulk, all sessions",
            .count(ProbeStreams.maximumBulk),
            "each of them takes what the path gives"
        ),
        FixedLimit(
            "Probes that move bytes in bulk, of a session",
            .count(ProbeStreams.maximumBulkOfSession),
            "one client leaves places for the others"
        ),
        FixedLimit(
            "Time of a probe that moves bytes in bulk",
            .time(ProbeStreams.bulkTime),
            "a rate is known after two seconds, and the place is needed"
        ),
        FixedLimit(
            "Time that a probe sends bytes",
            .time(ProbeStreams.sourceTime),
            "a rate is known after two seconds"
        ),
        FixedLimit(
            "Bytes that a probe sends",
            .bytes(ProbeStreams.maximumBytes),
            "a fast path needs no more to show its rate"
        ),
        FixedLimit(
            "Silence that a probe may ask for",
            .time(.seconds(ProbeRequest.maximumQuiet)),
            "boxes that cut idle connections do so within an hour"
        ),
        FixedLimit(
            "Ports that a probe may ask about",
            .count(ProbeRequest.maximumPorts),
            "the request must fit into its field"
        ),
        FixedLimit(
            "Value in a line of facts",
            .count(ProbeFacts.longestValue),
            "fronts and names of clients may be long, and the line is for a person"
        ),
    ]
}
