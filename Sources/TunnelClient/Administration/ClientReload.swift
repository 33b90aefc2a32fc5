import NIOSSL
import TunnelAdmin

/// Compares two configurations of a client for the operator who has reloaded it. Pure.
enum ClientReload {
    /// The places that were added and removed.
    static func changes<Spec: Hashable & CustomStringConvertible>(
        from old: [Spec],
        to new: [Spec],
        _ what: String
    ) -> [String] {
        let (before, after) = (Set(old), Set(new))
        return new.filter { !before.contains($0) }.map { "\(what) \($0) added" }
            + old.filter { !after.contains($0) }.map { "\(what) \($0) removed" }
    }

    /// What a client keeps until it starts again.
    static func restart(from old: ClientConfiguration, to new: ClientConfiguration) -> [String] {
        var keys: [String] = []
        func note(_ key: String, _ isEqual: Bool) { if !isEqual { keys.append("\(key) changes with a restart only") } }
        note("url", old.endpoints == new.endpoints)
        note("connect_to", old.connectTo == new.connectTo)
        note("name or instance", old.instance == new.instance)
        note("encryption", old.encryption == new.encryption)
        note("server_key", old.serverKeys == new.serverKeys)
        note("admin", old.admin == new.admin)
        note("servers", old.servers == new.servers)
        note("carriers", old.carriers == new.carriers)
        note("carriers_over", old.carriersOver == new.carriersOver)
        note("[limits]", old.limits == new.limits)
        return keys
    }
}
