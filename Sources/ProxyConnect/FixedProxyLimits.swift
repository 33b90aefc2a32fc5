/// Bounds of a proxy's authentication, for the table of limits. Their reasons stand at the types that hold them.
extension ConnectExchange {
    /// Messages to the proxy within one scheme.
    package static var legs: Int { ProxyAuthentication.maximumLegs }
    /// Target information of an NTLM challenge, bytes.
    package static var targetInformation: Int { NTLMChallenge.maximumTargetInfo }
}
