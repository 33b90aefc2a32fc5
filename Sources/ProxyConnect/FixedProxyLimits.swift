/// Limits on a proxy's authentication, listed here for the table of limits. The type that holds each limit states its
/// reason.
extension ConnectExchange {
    /// Messages to the proxy within one scheme.
    package static var legs: Int { ProxyAuthentication.maximumLegs }
    /// Target information in an NTLM challenge, bytes.
    package static var targetInformation: Int { NTLMChallenge.maximumTargetInfo }
}
