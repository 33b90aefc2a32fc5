/// Fixed limits of UDP flows. Those of waiting datagrams are the session's.
extension FixedLimit {
    package static let flows: [FixedLimit] = [
        FixedLimit(
            "Datagrams of a flow that wait for the destination's socket",
            .count(WaitingDatagrams.maximum),
            "a lookup takes little time; the oldest are dropped"
        ),
        FixedLimit(
            "Bytes of datagrams that wait for the destination's socket",
            .bytes(WaitingDatagrams.maximumBytes),
            "one large datagram, or a few usual ones"
        ),
        FixedLimit(
            "Age at which these datagrams are dropped",
            .time(WaitingDatagrams.oldest),
            "a late answer is of no use"
        ),
        FixedLimit(
            "Addresses of a UDP port for all addresses that get a socket for their replies",
            .count(UDPIngress.maximumReplySockets),
            "a machine has few; replies from further ones leave by the system's choice"
        ),
        FixedLimit(
            "Addresses whose rate of new flows a UDP port remembers",
            .count(UDPIngress.rememberedAddresses),
            "each costs some bytes; further ones share one rate"
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
