"""Member codes as facts: the states of ISO 3166-1 and the organisations registered here."""

from collections.abc import Mapping
from types import MappingProxyType

# The 249 officially assigned alpha-3 codes of ISO 3166-1; reserved and user-assigned codes are none.
_ALPHA3 = """
ABW AFG AGO AIA ALA ALB AND ARE ARG ARM ASM ATA ATF ATG AUS AUT AZE BDI BEL BEN BES BFA BGD BGR BHR BHS BIH
BLM BLR BLZ BMU BOL BRA BRB BRN BTN BVT BWA CAF CAN CCK CHE CHL CHN CIV CMR COD COG COK COL COM CPV CRI CUB
CUW CXR CYM CYP CZE DEU DJI DMA DNK DOM DZA ECU EGY ERI ESH ESP EST ETH FIN FJI FLK FRA FRO FSM GAB GBR GEO
GGY GHA GIB GIN GLP GMB GNB GNQ GRC GRD GRL GTM GUF GUM GUY HKG HMD HND HRV HTI HUN IDN IMN IND IOT IRL IRN
IRQ ISL ISR ITA JAM JEY JOR JPN KAZ KEN KGZ KHM KIR KNA KOR KWT LAO LBN LBR LBY LCA LIE LKA LSO LTU LUX LVA
MAC MAF MAR MCO MDA MDG MDV MEX MHL MKD MLI MLT MMR MNE MNG MNP MOZ MRT MSR MTQ MUS MWI MYS MYT NAM NCL NER
NFK NGA NIC NIU NLD NOR NPL NRU NZL OMN PAK PAN PCN PER PHL PLW PNG POL PRI PRK PRT PRY PSE PYF QAT REU ROU
RUS RWA SAU SDN SEN SGP SGS SHN SJM SLB SLE SLV SMR SOM SPM SRB SSD STP SUR SVK SVN SWE SWZ SXM SYC SYR TCA
TCD TGO THA TJK TKL TKM TLS TON TTO TUN TUR TUV TWN TZA UGA UKR UMI URY USA UZB VAT VCT VEN VGB VIR VNM VUT
WLF WSM YEM ZAF ZMB ZWE
"""
ASSIGNED_ALPHA3 = frozenset(_ALPHA3.split())

# No code here is an assigned alpha-3 code. EXCHANGE is the exchange's own operators and auditors.
ORGANISATIONS: Mapping[str, str] = MappingProxyType(
    {
        "EXCHANGE": "The exchange itself",
        "EU": "European Union",
        "EUROJUST": "European Union Agency for Criminal Justice Cooperation",
        "EUROPOL": "European Union Agency for Law Enforcement Cooperation",
        "ENISA": "European Union Agency for Cybersecurity",
        "FRONTEX": "European Border and Coast Guard Agency",
        "IAEA": "International Atomic Energy Agency",
        "INTERPOL": "International Criminal Police Organization",
        "NATO": "North Atlantic Treaty Organization",
        "OPCW": "Organisation for the Prohibition of Chemical Weapons",
        "OSCE": "Organization for Security and Co-operation in Europe",
    }
)
