"""What synthetic posts say: phrases per kind of place. Square brackets mark the telling words.

The marked words are what new slang replaces under text drift; what stands outside of them fits
any place.
"""

TELLING: dict[str, tuple[str, ...]] = {
    "home": (
        "curled up on the [sofa] with a [blanket] and {name}",
        "[laundry day], socks everywhere, not leaving my [flat]",
        "finally assembled the new [bunk bed], only two screws left over",
        "slow morning in [pyjamas], the [dishwasher] can wait",
        "my [living room] after the kids came back from {name}'s",
        "still in [bed] at {hour}, no regrets",
        "{name} baked in our [kitchen] and the whole [apartment] smells of it",
        "new [curtains] are up, it looks so different",
        "the cat took over the [couch] again",
        "[family dinner] at [mum's place] tonight",
    ),
    "workplace": (
        "third [meeting] today and {name} still has slides left",
        "[deadline] at {hour}, someone bring me a new [keyboard]",
        "first day in the new [office], got the [desk] by the window",
        "the [printer] is broken and the [boss] is asking why",
        "[hard hats] on, the [crane] arrived at {hour}",
        "[inbox] at zero, [colleagues] do not believe me",
        "[night shift] at the [factory], see you all at {hour}",
        "my [cubicle] neighbour {name} hums all day",
        "[quarterly review] went well, thanks to the whole [team]",
        "stuck in a [conference call] again",
    ),
    "school": (
        "[exam] in ten minutes and {name} forgot the calculator",
        "the [professor] filled the whole [blackboard] again",
        "[homework] due at {hour}, all of us copying",
        "back row of the [lecture hall] with {name}",
        "the [library] is packed, everybody is [studying] for [finals]",
        "[graduation] rehearsal with the whole [class]",
        "our [teacher] brought a skeleton for [biology]",
        "[campus] is so quiet before [term] starts",
        "the [kids] made paper planes all through [maths lesson]",
        "late for [algebra], {name} saved me a seat",
    ),
    "restaurant_cafe": (
        "best [ramen] in town, {name} had two [bowls]",
        "the [waiter] remembered us, corner [table] as always",
        "[flat white] and [croissant], {hour} sharp",
        "ordered the whole [menu], regret nothing",
        "[happy hour] with {name}, next [cocktail] is on me",
        "the [chef] came out to say hello after the [dessert]",
        "[brunch] with {name}: [pancakes], eggs and too much syrup",
        "[espresso] machine is loud here but the [barista] is lovely",
        "a [pint] and a plate of [fries] after this long week",
        "[tasting menu], seven courses, still hungry",
    ),
    "shop": (
        "[half price] everywhere, I only came for batteries",
        "the [checkout] line goes all the way round the [aisle]",
        "{name} spent an hour in the [fitting room]",
        "new [sneakers] in the [window], resist me",
        "full [trolley], empty [wallet]",
        "the [mall] at {hour}, what was I thinking",
        "[black friday] madness, {name} got the last TV off the [shelf]",
        "[groceries] for the week done, the [cashier] knows my name",
        "picked up two secondhand novels at the [bookstore]",
        "fresh tomatoes from the [market stall], {name} haggled",
    ),
    "gym_sports": (
        "[leg day], {name} had to help me up",
        "[match] went to [penalties], I lost my voice",
        "new personal best on the [bench press]",
        "forty [laps] in the [pool] before {hour}",
        "{name} scored a [hat trick], what a [game]",
        "[squats] and regret, our [coach] shows no mercy",
        "[tennis] with {name}, three [sets], no mercy",
        "[treadmill] broken, did [burpees] instead",
        "the [referee] needs glasses, come on",
        "front row for the [playoffs], what a [dunk]",
    ),
    "museum_entertainment": (
        "the [band] played two [encores], {name} cried",
        "stood in front of that [painting] for an hour",
        "[popcorn] ready, the [movie] starts at {hour}",
        "the [exhibition] closes on sunday, so go and see it",
        "front row for the [musical], I can see them sweat",
        "[rollercoaster] five times in a row with {name}",
        "[dinosaur] bones and a very long [audio guide]",
        "the [curtain] falls and everybody stands for the [actors]",
        "[gig] tonight, {name} on [guitar]",
        "the [sculpture] room is empty at {hour}, magic",
    ),
    "transport": (
        "[gate] changed twice, [boarding] at {hour}",
        "[platform] nine, the [train] is late, as ever",
        "window [seat], [takeoff] in five",
        "stuck on the [motorway] with {name} singing",
        "the [subway] smells of wet coats today",
        "[layover] number two, four more hours",
        "missed the last [bus], {name} is not amused",
        "[passport] check took for ever, my [suitcase] is lost",
        "the [ferry] leaves at {hour}, see you on the other side",
        "the [conductor] wished us all a good evening",
    ),
    "street_urban": (
        "[skyline] from the [bridge] tonight, wow",
        "the [crosswalk] at {hour}, thousands of people",
        "new [graffiti] on the corner of our [block]",
        "lost with {name} in the [old town], every [alley] looks the same",
        "[street lamps] coming on over the [square]",
        "a [busker] is playing outside the [town hall]",
        "[neon signs] and wet [pavement] with {name}",
        "cycling between [skyscrapers], {name} leads",
        "[rush hour] on the [avenue], everyone honks",
        "[downtown] looks so good after rain",
    ),
    "nature_outdoors": (
        "[summit] reached at {hour}, {name} carried the snacks",
        "the [trail] goes on for miles under the [pines]",
        "[campfire] and no signal, perfect",
        "saw a [deer] by the [lake] with {name}",
        "pitched the [tent] in the last light",
        "[waterfall] at the end of the [hike], worth it",
        "picking [mushrooms] in the [woods] with {name}",
        "[wildflowers] as far as you can see in the [valley]",
        "picnic under the old [oak], {name} fell asleep in the [meadow]",
        "[glacier] in front of us, [boots] are soaked",
    ),
    "beach_coast": (
        "[waves] are huge today, {name} is out with the [surfboard]",
        "[sand] in my shoes, salt in my hair",
        "[low tide], {name} is collecting [shells]",
        "the [lighthouse] at {hour}, [gulls] everywhere",
        "[sunburn] on day one, classic me",
        "the [pier] at sunset with {name}",
        "toes in the [ocean], phone on silent",
        "built a [sandcastle] with {name}, the [tide] took it",
        "[snorkelling] by the [cliffs], saw an octopus",
        "[beach towel], book, repeat",
    ),
}

TAGS: dict[str, tuple[str, ...]] = {
    "home": ("homesweethome", "cosynight", "sofatime"),
    "workplace": ("officelife", "mondaygrind", "9to5"),
    "school": ("studentlife", "examseason", "campuslife"),
    "restaurant_cafe": ("foodie", "brunchtime", "coffeelover"),
    "shop": ("shoppingspree", "sale", "newin"),
    "gym_sports": ("fitfam", "matchday", "nopainnogain"),
    "museum_entertainment": ("livemusic", "artlover", "showtime"),
    "transport": ("ontheroad", "jetlag", "commute"),
    "street_urban": ("citylights", "streetstyle", "urbanexplorer"),
    "nature_outdoors": ("hiking", "intothewild", "mountainlife"),
    "beach_coast": ("beachlife", "saltyhair", "seaside"),
}

# Under text drift every marked word of a label becomes one of its three: new to any model.
SLANG: dict[str, tuple[str, ...]] = {
    "home": ("zibbo", "noozly", "fwumpa"),
    "workplace": ("grakko", "tezmod", "plinq"),
    "school": ("yabbix", "drovvi", "kwent"),
    "restaurant_cafe": ("mubzy", "slorpo", "chivvo"),
    "shop": ("vexla", "ploofa", "jandi"),
    "gym_sports": ("hurzz", "brekko", "swoyp"),
    "museum_entertainment": ("lumfy", "oozel", "trizzo"),
    "transport": ("wejji", "skwim", "roffel"),
    "street_urban": ("dazzik", "bongle", "ufteq"),
    "nature_outdoors": ("quopp", "ferzle", "gimbu"),
    "beach_coast": ("jellux", "wazzum", "opsi"),
}

VAGUE = (
    "having a great day", "cannot believe it is {day} already", "so much fun with {name} today",
    "what a week, {name} gets it", "best people, best moments", "needed this so much",
    "guess who is back", "no words", "this is the life", "you had to be there",
    "making memories with {name}", "some days are just perfect", "good times with {name}",
    "{day} mood", "thank you {name} for everything", "never a dull moment with {name}",
    "feeling lucky today", "tell me what you think of this one", "one year ago today",
    "sorry for being quiet lately, life is full", "happy birthday {name}", "here we go again",
    "me and {name}, same as ever", "it is {hour} and I am still smiling", "look at that light",
    "could stay like this for ever", "new picture, who dis",
)  # fmt: skip

# A vague text that hints at a place where the post is not.
HINTS = (
    "{name} keeps talking about the {cue}", "wish it was {cue} already", "not a {cue} this time",
    "{name} will miss the {cue}", "still dreaming of the {cue}",
)  # fmt: skip

OPENERS = ("", "", "", "ok so ", "well, ", "today: ", "honestly, ", "update: ", "{day} again. ")
ENDINGS = ("", "", "", "!", "!!", "...", ", love it", ", what a day", " haha", ", as always")
GENERAL_TAGS = ("love", "mood", "instagood", "goodtimes", "friends", "weekend", "happy", "nofilter")
EMOJIS = ("😀", "😂", "❤️", "✨", "🙏", "🔥", "😍", "🙌", "🤷", "💯")
NAMES = (
    "Anna", "Tom", "Mia", "Jonas", "Priya", "Omar", "Lucy", "Kenji", "Sara", "Leo", "Nina",
    "Diego", "Fatima", "Ben", "Chloe", "Ravi", "Elif", "Max",
)  # fmt: skip
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
