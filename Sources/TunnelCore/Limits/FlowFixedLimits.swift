/// Fixed limits of UDP flows. Those of waiting datagrams are the session's.
extension FixedLimit {
    package static let flows: [FixedLimit] = [
        FixedLimit(
            "Datagrams of a flow that wait for the destination's socket",
            .count(EgressFlow.maximumWaiting),
            "a lookup takes little time; the oldest are dropped"
        ),
        FixedLimit(
            "Datagrams that wait for the socket of one address of a port",
            .count(UDPIngress.maximumWaiting),
            "a socket is made at once; further ones are dropped"
        ),
        FixedLimit(
            "Time after which a flow with datagrams from both sides is a conversation",
            .time(FlowSilence.conversation),
            "a lookup is over by then"
        ),
    ]
}
